"""The page of a few-shot evaluation: its figures beside published ones, and examples to read, in one HTML file."""

from flamingo_jax.evaluation.fewshot.page.document import render, write_page
from flamingo_jax.evaluation.fewshot.page.row_files import RowFiles

__all__ = ["RowFiles", "render", "write_page"]
