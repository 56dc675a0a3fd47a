"""Contamination: which pictures of a training corpus are those that a benchmark asks about.

The paper's corpora were checked in this way and not cleaned: of 185 million images 1,314 were near-duplicate candidates
of six benchmarks' validation and test images, 125 of them exact copies (Alayrac et al. 2022, appendix A.3.4).
"""
