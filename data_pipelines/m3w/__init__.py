"""Web pages to documents of interleaved text and images, after the recipe of M3W (Flamingo, appendix A.3.1)."""
