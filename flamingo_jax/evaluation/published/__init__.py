"""What others have published on the benchmarks, to stand beside one's own figures."""

from flamingo_jax.evaluation.published.results import Published, figures
from flamingo_jax.evaluation.published.text import Own, table

__all__ = ["Own", "Published", "figures", "table"]
