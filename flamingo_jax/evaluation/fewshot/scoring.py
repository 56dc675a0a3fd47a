"""Whether a benchmark can be scored here, found out before hours of asking."""

from collections.abc import Sequence

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction


def check_score(benchmark: Benchmark, items: Sequence[Item]) -> None:
    """Scores the true answers to all items, so that what the metric lacks is told of now.

    Raises:
      ConfigError: a package that the metric needs is missing, or these items have no score.
    """
    tried = [Prediction(item.answer, tuple(map(float, range(len(item.candidates))))) for item in items]
    try:
        benchmark.score(items, tried)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{benchmark.title}: {error}") from error
