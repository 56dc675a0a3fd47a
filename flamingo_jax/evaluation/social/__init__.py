"""Social bias and toxicity of captions, reported in the paper's form.

The paper compares the CIDEr of captions by the perceived gender and skin tone of who is in the picture, annotated by
Zhao et al. 2021 (arXiv:2106.08503), and reads the captions that a scorer of toxicity flags (Alayrac et al. 2022,
appendix D.2, table 12). Annotations and scores are the user's: none come with this package.
"""
