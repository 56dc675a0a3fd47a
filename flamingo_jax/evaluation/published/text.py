"""One's own figures beside the published ones, as text for a terminal."""

from collections.abc import Mapping, Sequence

from flamingo_jax.evaluation.columns import aligned
from flamingo_jax.evaluation.published.results import RANDOM, Published, figures

Own = tuple[float | None, float | None, float | None]
"""A value and the ends of its 95% interval; None: there is none."""


def table(
    benchmark_name: str,
    own: Mapping[int, Own],
    *,
    title: str,
    label: str = "this run",
    others: Mapping[str, Mapping[int, Own]] | None = None,
) -> str:
    """Figures by shots: one's own with their intervals, then what was published, with sources and notes.

    Args:
      benchmark_name: as on the command line.
      own: shots -> one's own figure, on the scale of papers (percent; CIDEr times 100).
      title: of the benchmark, which the text begins with.
      label: what one's own row is called.
      others: further rows of one's own by their names, such as those with RICES.

    Returns:
      Lines without a newline at the end. Of a benchmark that nothing is known about, one's own rows and a line that
      says so.
    """
    mine = {label: own, **(others or {})}
    known = figures(benchmark_name)
    shots = sorted({count for row in mine.values() for count in row} | {count for one in known for count in one.values})
    columns = ["shots", *map(str, shots)]
    lines = [line for name, row in mine.items() if row for line in _own_lines(name, row, shots)]
    few_shot = [one for one in known if one.values]
    lines += [[_name(one, marks), *_cells(one, shots)] for one, marks in _marked(few_shot, known)]
    fixed = _marked([one for one in known if not one.values], known)
    text = [title, *aligned([columns, *lines])]
    text += ["", *aligned([[_name(one, marks), f"{one.fixed:.1f}"] for one, marks in fixed])] if fixed else []
    if not known:
        text.append("nothing published is known of this benchmark")
    return "\n".join([*text, *_footnotes(known)])


def _own_lines(name: str, row: Mapping[int, Own], shots: Sequence[int]) -> list[list[str]]:
    values = [name, *(_value(row[count][0]) if count in row else "-" for count in shots)]
    intervals = [_interval(row.get(count)) for count in shots]
    return [values, ["  95% interval", *intervals]] if any(intervals) else [values]


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _interval(own: Own | None) -> str:
    if own is None or own[1] is None or own[2] is None:
        return ""
    return f"{own[1]:.1f} to {own[2]:.1f}"


def _cells(one: Published, shots: Sequence[int]) -> list[str]:
    return [f"{one.values[count]:.1f}" if count in one.values else "-" for count in shots]


def _name(one: Published, marks: str) -> str:
    how = "" if one.how == RANDOM else f", {one.how}"
    return f"{one.model}{how} {marks}"


def _marked(some: Sequence[Published], known: Sequence[Published]) -> list[tuple[Published, str]]:
    sources, notes = _sources(known), _notes(known)
    return [
        (one, f"[{sources.index(one.source) + 1}" + (f"{_letter(notes.index(one.note))}]" if one.note else "]"))
        for one in some
    ]


def _footnotes(known: Sequence[Published]) -> list[str]:
    sources = [f"[{place}] {source}" for place, source in enumerate(_sources(known), 1)]
    notes = [f"[{_letter(place)}] {note}" for place, note in enumerate(_notes(known))]
    return ["", *sources, *notes] if known else []


def _letter(place: int) -> str:
    return chr(ord("a") + place)


def _sources(known: Sequence[Published]) -> list[str]:
    return list(dict.fromkeys(one.source for one in known))


def _notes(known: Sequence[Published]) -> list[str]:
    return list(dict.fromkeys(one.note for one in known if one.note))
