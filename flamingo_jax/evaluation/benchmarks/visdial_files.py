"""The files of VisDial 1.0: dialogues whose questions and answers are places in two tables, and dense annotations."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.records import read_records


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """A question about a picture and its answer.

    Attributes:
      question: as written, mostly without a question mark.
      answer: the true one; "" where the release keeps it back (the last round of test).
      options: the answers to choose from; empty where they were not asked for.
      true: place of the true answer among the options; -1 where the release keeps it back.
    """

    question: str
    answer: str
    options: tuple[str, ...] = ()
    true: int = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Dialogue:
    """A picture with its caption and the rounds about it, 10 of them but in test."""

    image_id: int
    caption: str
    rounds: tuple[Round, ...]


def read_dialogues(path: epath.Path, options: bool) -> Iterator[Dialogue]:
    """The dialogues of a file, in its order.

    Args:
      path: of a file such as visdial_1.0_val.json.
      options: whether the answer options are wanted: those of train are 123 million numbers.

    Raises:
      ConfigError: the file is damaged or of another release.
    """

    def keep(record: dict) -> dict:
        if not options:
            record.pop("answer_options", None)
        return record

    data = field(read_json(path, keep), "data", dict, path, "the whole file")
    questions, answers = (field(data, name, list, path, "data") for name in ("questions", "answers"))
    for place, record in enumerate(field(data, "dialogs", list, path, "data")):
        number = field(record, "image_id", int, path, place)
        where = f"image {number}"
        rounds = tuple(
            _round(one, questions, answers, options, path, f"{where}, round {turn}")
            for turn, one in enumerate(field(record, "dialog", list, path, where), 1)
        )
        if not rounds:
            raise ConfigError(f"{path}, {where}: the dialogue has no round. Is it the release's own file?")
        yield Dialogue(number, field(record, "caption", str, path, where), rounds)


def read_dense(path: epath.Path) -> dict[int, tuple[int, tuple[float, ...]]]:
    """Image id -> the round that was judged, counted from 1, and the relevance of each of its options, 0 to 1.

    Raises:
      ConfigError: the file is damaged or of another release.
    """
    dense = {}
    for place, record in enumerate(read_records(path)):
        number = field(record, "image_id", int, path, place)
        relevance = tuple(field(record, "gt_relevance", list, path, f"image {number}"))
        if not all(isinstance(value, (int, float)) for value in relevance):
            raise ConfigError(f'{path}, image {number}: "gt_relevance" has something else than numbers')
        dense[number] = (field(record, "round_id", int, path, f"image {number}"), relevance)
    return dense


def _round(
    record: Any, questions: Sequence[Any], answers: Sequence[Any], options: bool, path: epath.Path, where: str
) -> Round:
    def text(table: Sequence[Any], name: str, place: Any) -> str:
        if not (isinstance(place, int) and 0 <= place < len(table) and isinstance(table[place], str)):
            raise ConfigError(
                f'{path}, {where}: "{name}" has {place!r}, which is no place in the table of {len(table):,} {name}s. '
                "Is it the release's own file?"
            )
        return table[place]

    listed = field(record, "answer_options", list, path, where) if options and "answer_options" in record else []
    return Round(
        question=text(questions, "question", field(record, "question", int, path, where)),
        answer=text(answers, "answer", field(record, "answer", int, path, where)) if "answer" in record else "",
        options=tuple(text(answers, "answer", place) for place in listed),
        true=field(record, "gt_index", int, path, where) if options and "gt_index" in record else -1,
    )
