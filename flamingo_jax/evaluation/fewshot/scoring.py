"""Whether a benchmark can be scored here, found out before hours of asking."""

import contextlib
from collections.abc import Sequence

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction

_TRIED = 8  # items


def check_score(benchmark: Benchmark, items: Sequence[Item]) -> None:
    """Scores the true answers to some items, so that what is not installed is told of now.

    Raises:
      ConfigError: a package that the metric needs is missing.
    """
    some = items[:_TRIED]
    tried = [Prediction(item.answer, tuple(map(float, range(len(item.candidates))))) for item in some]
    try:
        with contextlib.suppress(ValueError):  # so few items may have no score, as of one class
            benchmark.score(some, tried)
    except ImportError as error:
        raise ConfigError(str(error)) from error
