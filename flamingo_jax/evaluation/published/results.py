"""The published results by benchmark."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence

from flamingo_jax.evaluation.published import tables

SHOTS = (0, 4, 8, 16, 32)
"""Of the published few-shot tables."""

NAMES = (
    "coco",
    "vqav2",
    "okvqa",
    "flickr30k",
    "vizwiz",
    "textvqa",
    "visdial",
    "hatefulmemes",
    "vatex",
    "msvdqa",
    "youcook2",
    "msrvttqa",
    "ivqa",
    "rareact",
    "nextqa",
    "star",
    "imagenet",
    "kinetics700",
)
"""Of the benchmarks, as on the command line but for punctuation."""
RANDOM, RICES, FINE_TUNED = "random support", "RICES", "fine-tuned"
_STATE_OF_THE_ART = "state of the art"


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """What one model reaches on one benchmark, in the benchmark's metric (percent; CIDEr times 100).

    Attributes:
      model: such as "Flamingo-80B".
      how: how it was asked or trained: `RANDOM`, `RICES`, `FINE_TUNED`, or more words.
      values: shots -> figure; what was not printed is not there. Empty: no number of shots belongs to the figure.
      fixed: the figure that no number of shots belongs to.
      source: the paper and its table.
      note: what a reader ought to know beside; may be empty.
    """

    model: str
    how: str
    values: Mapping[int, float]
    fixed: float | None
    source: str
    note: str = ""


def figures(benchmark_name: str) -> tuple[Published, ...]:
    """All that was published on a benchmark: few-shot results first, then fine-tuned ones; () where nothing is known.

    Args:
      benchmark_name: as on the command line; case and punctuation do not matter ("MSVD-QA" is "msvdqa").
    """
    return _all().get(re.sub(r"[^a-z0-9]", "", benchmark_name.lower()), ())


@functools.cache
def _all() -> Mapping[str, tuple[Published, ...]]:
    found: dict[str, list[Published]] = {name: [] for name in NAMES}
    for name, one in _read():
        found[name].append(one)
    return {name: tuple(published) for name, published in found.items()}


def _read() -> Iterator[tuple[str, Published]]:
    table_1, table_7 = f"{tables.FLAMINGO_PAPER}, table 1", f"{tables.FLAMINGO_PAPER}, table 7"
    yield from _few_shot(tables.FLAMINGO, RANDOM, table_1)
    for how, text in tables.CLASSIFICATION.items():
        yield from _few_shot(text, how, table_7)
    yield from _few_shot(tables.PRIOR, "few-shot", table_1)
    yield from _by_cells(tables.OPENFLAMINGO, RANDOM, f"{tables.OPENFLAMINGO_PAPER}, table 11")
    yield from _by_cells(tables.OPENFLAMINGO_RICES, RICES, f"{tables.OPENFLAMINGO_PAPER}, table 12")
    yield from _by_cells(tables.IDEFICS, RANDOM, f"{tables.IDEFICS_PAPER}, table 2")
    for how, text in tables.IDEFICS_IMAGENET.items():
        yield from _few_shot(text, how, tables.IDEFICS_CARD)
    yield from _fixed(tables.FLAMINGO_FINE_TUNED, FINE_TUNED, f"{tables.FLAMINGO_PAPER}, version 1, table 6")
    yield from _fixed(tables.CONTRASTIVE, "zero-shot", table_7)
    yield from _fixed(tables.FINE_TUNED, FINE_TUNED, table_1)
    yield from _fixed(tables.CLASSIFICATION_FINE_TUNED, FINE_TUNED, table_7)


def _few_shot(text: str, how: str, source: str) -> Iterator[tuple[str, Published]]:
    """Of a table with a row for each number of shots, the last word of the row's name."""
    values: dict[tuple[str, str], dict[int, float]] = {}
    for label, name, cell in _cells(text):
        model, _, shots = label.rpartition(" ")
        values.setdefault((model, name), {}).update(_printed([int(shots)], [cell]))
    for (model, name), by_shots in values.items():
        if by_shots:
            yield name, Published(model, how, by_shots, None, source, tables.NOTES.get((model, name), ""))


def _by_cells(text: str, how: str, source: str) -> Iterator[tuple[str, Published]]:
    """Of a table whose cells hold the figures at `SHOTS`."""
    for model, name, cell in _cells(text):
        values = _printed(SHOTS, cell.split("/"))
        yield name, Published(model, how, values, None, source, tables.NOTES.get((model, name), ""))


def _fixed(text: str, how: str, source: str) -> Iterator[tuple[str, Published]]:
    for label, name, cell in _cells(text):
        note = tables.NOTES.get((label, name), "")
        if label == "fine-tuned":
            size = tables.TRAINING_SIZES.get(name)
            note = "; ".join(filter(None, [f"on {size} examples" if size else "", note]))
            label = _STATE_OF_THE_ART
        yield name, Published(label, how, {}, float(cell), source, note)


def _printed(shots: Sequence[int], cells: Sequence[str]) -> dict[int, float]:
    return {count: float(cell) for count, cell in zip(shots, cells, strict=True) if cell != "-"}


def _cells(text: str) -> Iterator[tuple[str, str, str]]:
    """(row, benchmark, cell) of a table."""
    head, *lines = text.strip("\n").splitlines()
    names = head.split()
    for line in lines:
        words = line.split()
        label = " ".join(words[: -len(names)])
        for name, cell in zip(names, words[-len(names) :], strict=True):
            yield label, name, cell
