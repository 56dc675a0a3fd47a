"""Weighted mean average precision of rare actions in videos (mWAP of RareAct).

Follows `compute_score.py` of RareAct (Miech et al. 2020). A class is a pair of verb and noun, such as (hammer, phone).
Beside the rows annotated for it, a class has as negatives the positives of all other classes: hard ones where the verb
or the noun is the same. A video has several rows, so that each counts for 1 / (rows of that video in the same group).
"""

import dataclasses
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Float

_NEGATIVE, _POSITIVE = 0, 1
_HARD_NEGATIVES = (2, 3, 4)  # only the verb, only the noun, or both in different actions


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One row of the annotation table.

    Attributes:
      video: what identifies the video.
      verb: of the class that the row is annotated for.
      noun: likewise.
      class_id: the class's column in the scores.
      annotation: 1 positive; 2, 3 or 4 hard negative; 0 negative.
    """

    video: Hashable
    verb: str
    noun: str
    class_id: int
    annotation: int


@dataclasses.dataclass(frozen=True)
class Groups:
    """Indices of the rows that count for a class."""

    positives: list[int]
    hard_negatives: list[int]
    negatives: list[int]


def mwap(rows: Sequence[Row], scores: Float[np.ndarray, "rows classes"]) -> tuple[float, dict[int, float]]:
    """The mean over classes with a positive, and each such class's weighted average precision, in 0..1.

    Args:
      rows: the annotation table.
      scores: of each row's clip, by class id; higher is likelier.

    Raises:
      ValueError: scores that do not fit the table, a table that contradicts itself, or one without positives.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 2 or len(scores) != len(rows):
        raise ValueError(f"scores must be [{len(rows)} rows, classes], not of shape {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    by_class = groups(rows)
    if outside := [class_id for class_id in by_class if not 0 <= class_id < scores.shape[1]]:
        raise ValueError(f"there are scores for {scores.shape[1]} classes, and the table has the class {outside[0]}")
    precisions = {
        class_id: _weighted(rows, group, scores[:, class_id]) for class_id, group in by_class.items() if group.positives
    }
    if not precisions:
        raise ValueError("no row of the table is annotated as positive")
    return float(np.mean(list(precisions.values()))), precisions


def groups(rows: Sequence[Row]) -> dict[int, Groups]:
    """Each class's positives, hard negatives and negatives, by class id, in the order of the table.

    Raises:
      ValueError: an unknown annotation, or a class id of several (verb, noun) pairs, or the other way round.
    """
    actions: dict[tuple[str, str], int] = {}
    for index, row in enumerate(rows):
        if row.annotation not in (_NEGATIVE, _POSITIVE, *_HARD_NEGATIVES):
            raise ValueError(f"row {index} has the annotation {row.annotation!r}; known are 0 to 4")
        if actions.setdefault((row.verb, row.noun), row.class_id) != row.class_id:
            raise ValueError(f"row {index}: ({row.verb}, {row.noun}) has the class ids {row.class_id} and another one")
    if len(set(actions.values())) < len(actions):
        raise ValueError("two actions have the same class id")
    found = {class_id: Groups([], [], []) for class_id in actions.values()}
    for index, row in enumerate(rows):
        own = found[row.class_id]
        if row.annotation == _NEGATIVE:
            own.negatives.append(index)
        elif row.annotation in _HARD_NEGATIVES:
            own.hard_negatives.append(index)
        else:
            own.positives.append(index)
            for (verb, noun), class_id in actions.items():
                shared = (verb == row.verb) + (noun == row.noun)
                if shared < 2:
                    (found[class_id].hard_negatives if shared else found[class_id].negatives).append(index)
    return found


def average_precision(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The sum over thresholds of (gain in recall) x precision, in 0..1; equal scores make one threshold.

    Args:
      positive: of each item, whether it is one; at least one is.
      scores: higher is likelier.
      weights: above 0.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found = np.cumsum(weights[order] * positive[order])[last]
    precision = found / np.cumsum(weights[order])[last]
    return float((np.diff(found, prepend=0.0) * precision).sum() / found[-1])


def _weighted(rows: Sequence[Row], group: Groups, column: np.ndarray) -> float:
    """The weighted average precision of one class."""
    parts = [np.array(part, int) for part in (group.positives, group.negatives, group.hard_negatives)]
    weights = np.concatenate([_shares([rows[row].video for row in part]) for part in parts])
    return average_precision(np.arange(len(weights)) < len(parts[0]), column[np.concatenate(parts)], weights)


def _shares(videos: Sequence[Hashable]) -> Float[np.ndarray, " rows"]:
    """1 / (how often the video of a row occurs), for each row."""
    counts: dict[Hashable, int] = {}
    for video in videos:
        counts[video] = counts.get(video, 0) + 1
    return np.array([1.0 / counts[video] for video in videos])
