"""Finds out before anything is asked whether all prompts fit into the language model."""

import functools
import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.config import ConfigError
from flamingo_jax.data.tokenizer import IMAGE_TAG
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.fewshot.asking import decoding_of
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.prompts import asked, example_text, plain
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.support import RandomSelection, Selection
from flamingo_jax.inference.prompts import tokenize_candidate, tokenize_prompt
from flamingo_jax.inference.session import Session

_logger = logging.getLogger(__name__)


class Prompts(NamedTuple):
    """What is to be asked with one number of shots: the choice of examples, by each of the seeds."""

    shots: int
    seeds: Sequence[int]
    select: Selection


def check_lengths(
    session: Session, benchmark: Benchmark, split: Split, config: FewShotConfig, prompts: Iterable[Prompts], option: str
) -> None:
    """Refuses prompts that are longer than learned positions, and warns of those that other models never saw so long.

    Args:
      option: how the user names the numbers of shots.

    Raises:
      ConfigError: the language model has too few positions.
    """
    language, lengths = session.model.config.language, _Lengths(session, benchmark, split, config)
    for shots, seeds, select in prompts:
        if (found := lengths.first_above(language.max_length, shots, seeds, select)) is None:
            continue
        key, tokens = found
        told = (
            f"{benchmark.title}: with {shots} shots the prompt of item {key!r} has {tokens} tokens, and up to "
            f"{lengths.more} follow"
        )
        if language.positions == "learned":
            raise ConfigError(
                f"{told}: the language model has positions for {language.max_length}. Name fewer {option}"
            )
        _logger.warning("%s: more than the %d that the language model was trained with", told, language.max_length)


class _Lengths:
    """Tokens of prompts. A tokenizer reads what stands between two tags by itself, so those of the parts add up."""

    def __init__(self, session: Session, benchmark: Benchmark, split: Split, config: FewShotConfig):
        tokenizer = session.tokenizer
        count = functools.cache(lambda text: len(tokenize_prompt(text, tokenizer).tokens))  # with `<BOS>`
        self._benchmark, self._split = benchmark, split
        self._queries = [count(f"{IMAGE_TAG}{asked(item)}") for item in split.queries]
        self._texts = np.array([count(example_text(item)) - 1 for item in split.support], int)
        self._tag = len(tokenizer.image_tag_ids)
        if split.ranked:
            candidates = set().union(*(query.candidates for query in split.queries))
            self.more = max(len(tokenize_candidate(f" {plain(text)}", tokenizer, True)) for text in candidates)
        else:
            self.more = decoding_of(benchmark, config).max_new_tokens

    def first_above(self, limit: int, shots: int, seeds: Sequence[int], select: Selection) -> tuple[str, int] | None:
        """The key and the tokens of a prompt that has more than `limit` together with what follows; None: none has."""
        examples = self._texts + (self._tag if shots else 0)
        if not shots:
            shots, select = self._benchmark.text_examples, RandomSelection(len(self._split.support))
        most = int(np.sort(examples)[len(examples) - shots :].sum())
        for place, (query, tokens) in enumerate(zip(self._split.queries, self._queries, strict=True)):
            if tokens + most + self.more <= limit:  # whichever examples it gets
                continue
            for seed in seeds:
                length = tokens + int(examples[select(query, place, shots, seed)].sum())
                if length + self.more > limit:
                    return query.key, length
        return None
