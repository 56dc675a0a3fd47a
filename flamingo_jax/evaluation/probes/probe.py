"""What a probe is made of: questions with closed sets of answers, and recipes that their pictures are drawn from."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.generated import Drawn, Recipe
from flamingo_jax.evaluation.benchmarks.templates import question

_SPLITS = ("test", "train")  # of each the generator has a seed of its own
_MAX_SHOTS = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """One question, before its picture is drawn.

    Attributes:
      picture: its recipe; questions about one picture have the same.
      question: what is asked.
      answer: the true candidate.
      candidates: what is ranked.
      details: what the score needs, "kind" among them.
    """

    picture: Recipe
    question: str
    answer: str
    candidates: tuple[str, ...]
    details: Mapping[str, Any]


def probe(
    name: str,
    title: str,
    metric: str,
    drafts: Callable[[np.random.Generator], Sequence[Draft]],
    draw: Callable[[Recipe], bytes],
    score: Callable[[Sequence[Item], Sequence[Prediction]], Score],
    note: str,
) -> Benchmark:
    """A benchmark of the drafts: `test` is asked about, `train` has as many examples, of other pictures.

    Args:
      drafts: makes the questions of a split with its generator, always the same ones.
      draw: see `Drawn`.
      name, title, metric, score, note: see `Benchmark`.
    """
    drawn = Drawn(draw)

    def of(split: str) -> Sequence[Draft]:
        return drafts(np.random.default_rng(_SPLITS.index(split)))

    def read(folder: epath.Path, split: str) -> list[Item]:
        return [
            Item(
                key=f"{split}-{number:03d}",
                medium=MediaFile(str(drawn.path(folder, draft.picture))),
                prompt=question(draft.question),
                answer=draft.answer,
                references=(draft.answer,),
                candidates=draft.candidates,
                details=draft.details,
            )
            for number, draft in enumerate(of(split))
        ]

    return Benchmark(
        name=name,
        title=title,
        metric=metric,
        read=read,
        score=score,
        files=dict.fromkeys(_SPLITS, ()),
        query_split="test",
        max_shots=_MAX_SHOTS,
        text_examples=0,
        note=note,
        write=lambda folder, split: drawn.write(folder, (draft.picture for draft in of(split))),
        probe=True,
    )


def said(item: Item, prediction: Prediction) -> str:
    """The likeliest candidate; the first of equals."""
    return item.candidates[int(np.argmax(prediction.scores))]


def kinds_of(items: Sequence[Item]) -> list[str]:
    """Each item's kind."""
    return [item.details["kind"] for item in items]


def share(flags: Sequence[bool]) -> float:
    """Percent of the flags that are true; NaN where there are none."""
    return 100 * sum(flags) / len(flags) if flags else float("nan")
