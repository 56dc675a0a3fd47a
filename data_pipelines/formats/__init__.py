"""The corpora of others: one module a format, with its layout and its odd records."""
