"""Pictures of one shape on a patterned background: what the embedded web and generated benchmarks draw."""
