"""Questions about drawn pictures, half of which their pictures do not answer: what a model should not be sure of.

They are in `answerability.jsonl`, written once by `data_pipelines/answerability.py`, which says of what kinds they are;
pictures are drawn from their recipes.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from flamingo_jax.data.scenes.drawing import draw
from flamingo_jax.data.scenes.words import VOCABULARIES
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.generated import Drawn, Recipe, png, scene_of
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.cases import attributes_in
from flamingo_jax.evaluation.confidence.rule import ABSTENTION

_FILE = Path(__file__).with_suffix(".jsonl")
_ANSWERABLE = "answerable"
# How the sentences of the embedded web go on after the words that are asked for.
_GOES_ON = (
    " background",
    " on ",
    " over ",
    " against ",
    " in front ",
    " placed ",
    ",",
    " moves ",
    " falls ",
    " rises ",
)


def _picture(recipe: Recipe) -> bytes:
    rng = np.random.default_rng(recipe["seed"])
    pixels = np.asarray(draw(scene_of(recipe, rng)))
    drowned = rng.random(pixels.shape[:2]) < recipe["noise"]
    noise = rng.integers(256, size=pixels.shape, dtype=np.uint8)
    return png(Image.fromarray(np.where(drowned[..., None], noise, pixels)))


_DRAWN = Drawn(_picture)


@functools.cache
def _lines() -> tuple[Mapping[str, Any], ...]:
    return tuple(map(json.loads, _FILE.read_text().splitlines()))


def _write(folder: epath.Path, split: str) -> None:
    _DRAWN.write(folder, (line["picture"] for line in _lines() if line["split"] == split))


def _read(folder: epath.Path, split: str) -> list[Item]:
    return [
        Item(
            key=line["key"],
            medium=MediaFile(str(_DRAWN.path(folder, line["picture"]))),
            prompt=line["prompt"],
            answer=ABSTENTION if line["answer"] is None else line["answer"],
            references=(ABSTENTION if line["answer"] is None else line["answer"],),
            details={"kind": line["kind"], "asked": line["asked"]},
        )
        for line in _lines()
        if line["split"] == split
    ]


def _score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of the answers that name the asked attribute rightly (its first word counts): of what is answerable, of
    each kind, and of each attribute; no answer to what cannot be answered is right.

    Where the model says itself that it does not know it has not answered, and the question does not count.
    """
    values = [
        None if prediction.text == ABSTENTION else float(_named(item, prediction) == item.answer)
        for item, prediction in zip(items, predictions, strict=True)
    ]
    kinds = [item.details["kind"] for item in items]
    asked = [item.details["asked"] if item.details["kind"] == _ANSWERABLE else "" for item in items]
    score = mean_score(values, kinds)
    return Score(score.value, score.per_item, {**score.parts, **mean_score(values, asked).parts})


def _named(item: Item, prediction: Prediction) -> str | None:
    return attributes_in(prediction.text, VOCABULARIES)[item.details["asked"]]


BENCHMARK = Benchmark(
    name="answerability",
    title="Answerability",
    metric="accuracy",
    read=_read,
    score=_score,
    files={"train": (), "dev": (), "test": ()},
    query_split="test",
    keywords=_GOES_ON,
    max_new_tokens=5,
    text_examples=0,
    note="half of the questions cannot be answered: accuracy is at most 50, and 'answerable' is that of the others",
    write=_write,
)
