"""RareAct: 149 unusual actions, such as blending a phone, in 7,607 annotations of YouTube videos; test only."""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.actions import sentence
from flamingo_jax.evaluation.benchmarks.annotation_files import read_csv
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.records import seconds, whole
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate
from flamingo_jax.evaluation.metrics.rareact import Row, mwap

_TITLE = "RareAct"
_TABLE = ReleaseFile("rareact.csv", "annotations: in the GitHub repository antoine77340/RareAct")
_VIDEOS = ReleaseFile(
    "videos/",
    "whole videos named as their YouTube ids: unpack rareact.zip, which antoine77340/RareAct links to, there",
    alternatives=("rareact/",),
)
_TEXTS, _NUMBERS = ("video_id", "verb", "noun"), ("id", "start", "end", "class_id", "annotation")
_POSITIVE = 1
NO_ACTION = "none of the actions"
"""The reference of a segment that shows none of the actions for which it is annotated."""


def read(folder: epath.Path, split: str) -> list[Item]:
    """The segments in the order in which the table first has them; keys are the video, the start and the end.

    The table annotates some segments for several actions, and some twice. The model says the same of each, so they are
    one item: its details hold its rows of the table, its references the actions that it shows.
    """
    path, videos = folder / _TABLE.path, ClipFiles(locate(folder, _VIDEOS))
    rows = [_row(row, path, place) for place, row in enumerate(read_csv(path, (*_TEXTS, *_NUMBERS)))]
    candidates = _candidates(rows, path)
    segments: dict[tuple[str, int, int], list[dict]] = {}
    for row in rows:
        segments.setdefault((row["video_id"], row["start"], row["end"]), []).append(row)
    items = []
    for (video, start, end), own in segments.items():
        shown = dict.fromkeys(candidates[row["class_id"]] for row in own if row["annotation"] == _POSITIVE)
        items.append(
            Item(
                key=f"{video}_{start}_{end}",
                medium=MediaFile(videos.path(video), video=True, span=seconds(start, end, path, f"video {video}")),
                prompt=templates.ACTION,
                answer="",  # the paper gives no examples
                references=tuple(shown) or (NO_ACTION,),
                candidates=candidates,
                details={"rows": own},
            )
        )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """mWAP in percent, over the rows of the table that these items stand for.

    Raises:
      ConfigError: none of them is a positive.
    """
    rows = [row for item in items for row in item.details["rows"]]
    if not any(row["annotation"] == _POSITIVE for row in rows):
        raise ConfigError(f"{_TITLE}: none of the {len(items):,} segments shows its action; ask about more of them.")
    scores = [
        prediction.scores for item, prediction in zip(items, predictions, strict=True) for _ in item.details["rows"]
    ]
    table = [Row(row["video_id"], row["verb"], row["noun"], row["class_id"], row["annotation"]) for row in rows]
    return Score(100 * mwap(table, np.array(scores, np.float64))[0])


def _row(row: Mapping[str, str], path: epath.Path, place: int) -> dict[str, str | int]:
    texts, numbers = {name: row[name] for name in _TEXTS}, {name: whole(row, name, path, place) for name in _NUMBERS}
    return {**texts, **numbers}


def _candidates(rows: Sequence[Mapping], path: epath.Path) -> tuple[str, ...]:
    """Each class as a sentence, in the order of the classes' numbers."""
    classes = {row["class_id"]: sentence(row["verb"], row["noun"]) for row in rows}
    if sorted(classes) != list(range(len(classes))):
        raise ConfigError(
            f"{path} has {len(classes)} classes, which are not numbered from 0. Was its download cut short?"
        )
    return tuple(classes[number] for number in range(len(classes)))


BENCHMARK = Benchmark(
    name="rareact",
    title=_TITLE,
    metric="mWAP",
    read=read,
    score=score,
    files={"test": (_TABLE, _VIDEOS)},
    query_split="test",
    support_split="test",  # of which nothing is ever shown
    support_size=0,
    max_shots=0,
    text_examples=0,
    partial=True,
)
