"""The captions of an evaluation: what a model said of each picture, and its CIDEr."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.fewshot.row_files import Row, read_rows

_SCALE = 100  # rows have CIDEr times 100


@dataclasses.dataclass(frozen=True, slots=True)
class Caption:
    """What was said of one picture.

    Attributes:
      key: of the picture, as the release has it.
      text: the caption.
      cider: its CIDEr as table 12 of the paper prints it, a hundredth of the row's share; None: it has none.
    """

    key: str
    text: str
    cider: float | None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One set of complete rows.

    Attributes:
      folder: of the evaluation.
      rows: name of their file.
      facts: the summary of the folder.
      captions: in the order of the rows; keys are unique.
    """

    folder: str
    rows: str
    facts: Mapping[str, Any]
    captions: Sequence[Caption]


def read_evaluation(folder: epath.PathLike, shots: int, support: str, seed: int) -> Evaluation:
    """Reads the rows of one number of shots, way of choosing examples, and seed.

    Raises:
      ConfigError: there is no evaluation, the rows are not there, not complete or damaged, or they hold no captions.
    """
    folder = epath.Path(folder)
    facts = _summary(folder / "summary.json")
    path = folder / "rows" / f"{support}-{shots}-{seed}.jsonl"
    if not path.exists():
        names = sorted(one.name.removesuffix(".jsonl") for one in path.parent.glob("*.jsonl"))
        raise ConfigError(
            f"{path} is not there: give --support, --shots and --seed of rows that are "
            f"(support-shots-seed: {', '.join(names) or 'none'}), or evaluate with these"
        )
    try:
        captions = [_caption(row, path, number) for number, (row, _) in enumerate(read_rows(path), 1)]
    except ValueError as error:
        raise ConfigError(f"{error}. The file is damaged: delete it and evaluate again") from error
    if len(captions) != facts["items"]:
        raise ConfigError(
            f"{path} has {len(captions):,} rows of {facts['items']:,}: give the command that evaluates once more, "
            "it goes on where it was stopped"
        )
    if len({one.key for one in captions}) != len(captions):
        raise ConfigError(f"{path} has several rows of one key. The file is damaged: delete it and evaluate again")
    return Evaluation(str(folder), path.name, facts, captions)


def check_shares(evaluation: Evaluation) -> None:
    """Checks that each caption has its CIDEr.

    Raises:
      ConfigError: the evaluation has another metric, or rows have no share.
    """
    metric, split = evaluation.facts.get("metric"), evaluation.facts.get("split")
    if metric != "CIDEr":
        raise ConfigError(
            f"{evaluation.folder} is an evaluation by {metric}, and groups are compared by CIDEr: give the folder of a "
            "captioning set, such as coco"
        )
    if bare := [one.key for one in evaluation.captions if one.cider is None]:
        raise ConfigError(
            f"{evaluation.folder}/rows/{evaluation.rows}: {len(bare):,} captions, such as that of {bare[0]}, have no "
            f"share of the score. Where split {split} keeps its references back, choose another; else give the command "
            "that evaluates once more, and it scores them"
        )


def _summary(path: epath.Path) -> Mapping[str, Any]:
    if not path.exists():
        raise ConfigError(
            f"{path.parent} is no folder of a finished evaluation (it has no {path.name}): give --evaluation the "
            "folder that python -m flamingo_jax.evaluate --benchmark=coco wrote"
        )
    try:
        facts = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}): give the command that evaluates once more") from error
    if not isinstance(facts, dict) or not isinstance(facts.get("items"), int):
        raise ConfigError(f"{path} is not the summary of a benchmark's evaluation: give --evaluation the folder of one")
    return facts


def _caption(row: Row, path: epath.Path, number: int) -> Caption:
    key, text, share = row.get("key"), row.get("answer"), row.get("share")
    if not isinstance(key, str) or not isinstance(text, str):
        raise ConfigError(
            f"{path}, line {number} has no {'key' if not isinstance(key, str) else 'answer'}, so it is no caption: "
            "give --evaluation the folder of a captioning set, such as coco"
        )
    known = isinstance(share, int | float) and not isinstance(share, bool) and math.isfinite(share)
    return Caption(key, text, share / _SCALE if known else None)
