"""The report of a run: one stand-alone HTML file made from what the run left in its working directory."""

from flamingo_jax.evaluation.report.page import write_report

__all__ = ["write_report"]
