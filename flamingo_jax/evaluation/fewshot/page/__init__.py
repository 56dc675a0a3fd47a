"""The page of a few-shot evaluation: its figures beside published ones, and examples to read, in one HTML file."""

from flamingo_jax.evaluation.fewshot.page.document import render, write_page

__all__ = ["render", "write_page"]
