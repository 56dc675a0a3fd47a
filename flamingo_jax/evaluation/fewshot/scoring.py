"""Whether a benchmark can be scored here, found out before hours of asking."""

import contextlib

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Prediction
from flamingo_jax.evaluation.fewshot.splits import Split

_TRIED = 8  # items


def check_score(benchmark: Benchmark, split: Split) -> None:
    """Scores the examples' answers to some queries, so that what is not installed is told of now.

    Raises:
      ConfigError: a package that the metric needs is missing.
    """
    items = split.queries[:_TRIED]
    tried = [Prediction(item.answer, tuple(map(float, range(len(item.candidates))))) for item in items]
    try:
        with contextlib.suppress(ValueError):  # so few items may have no score, as of one class
            benchmark.score(items, tried)
    except ImportError as error:
        raise ConfigError(str(error)) from error
