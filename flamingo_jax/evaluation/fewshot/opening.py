"""Opens a benchmark to be evaluated on, and finds out before hours of asking whether that can be done."""

import functools
from collections.abc import Sequence

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.splits import Split, open_split
from flamingo_jax.evaluation.metrics.english.wordnet import wordnet


def open_to_ask(benchmark: Benchmark, folder: epath.Path, config: FewShotConfig) -> Split:
    """As `open_split`, of items that can be asked about and scored.

    Raises:
      ConfigError: as `open_split`; the metric lacks a package or something in the release; or an option does nothing.
    """
    split = open_split(benchmark, folder, config)
    taken = benchmark.max_shots and split.name == benchmark.support_split
    if taken or len(split.support) < benchmark.text_examples:
        raise ConfigError(
            f"{benchmark.title}: split {split.name!r} is for examples, or leaves none: choose another to ask about"
        )
    if split.ranked and config.decoding is not None:
        raise ConfigError(f"{benchmark.title} ranks candidates: options of how answers are written do nothing here")
    if not split.ranked and (config.permutations > 1 or config.per_token):
        raise ConfigError(f"answers to {benchmark.title} are written: options of ranking candidates do nothing here")
    if config.confidence is not None and not split.ranked:
        _try_meanings()
    if split.referenced:
        _try_score(benchmark, split.queries)
    elif benchmark.server_answers is None:
        raise ConfigError(f"{benchmark.title}: split {split.name!r} of {folder} has no references to score answers by")
    return split


def most_shots(benchmark: Benchmark, split: Split) -> int:
    """The most examples that a prompt can have: as in the paper, and as many as there are."""
    return min(benchmark.max_shots, len(split.support))


def _try_meanings() -> None:
    """Opens the dictionary that tells which answers mean the same."""
    try:
        wordnet()
    except ImportError as error:
        raise ConfigError(f"the evidence for written answers (confidence): {error}") from error


def _try_score(benchmark: Benchmark, items: Sequence[Item]) -> None:
    """Scores the true answers."""
    scores = functools.cache(lambda count: np.arange(count, dtype=np.float64))  # held once, not for each item
    tried = [Prediction(item.answer, scores(len(item.candidates))) for item in items]
    try:
        benchmark.score(items, tried)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{benchmark.title}: {error}") from error
