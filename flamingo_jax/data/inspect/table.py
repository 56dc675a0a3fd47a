"""The figures as a table for the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flamingo_jax.html import figures


def rows_table(summaries: Mapping[str, Mapping[str, Any]]) -> str:
    """A column for each dataset of a run."""
    return _lay_out([("", *summaries), *_rows(summaries.values())])


def documents_table(summary: Mapping[str, Any]) -> str:
    """The figures of a stored dataset."""
    lines = [
        ("documents", f"{summary['documents']:,} of {summary['records']:,}"),
        ("kind", f"{summary['kind']}{'' if summary['kind_given'] else ' (by its records)'}"),
        ("not of this kind", f"{summary['unfit']['count']:,}"),
        ("damaged records", f"{summary['damaged_records']:,}"),
    ]
    for name in ("paragraphs", "words", "images", "clips", "bytes"):
        lines.append((f"{name} a document", _median(summary[name])))
    for name, media in (("image", summary["stills"]), ("clip", summary["videos"])):
        if media["count"]:
            lines += [(f"{name} width", _median(media["width"])), (f"{name} height", _median(media["height"]))]
            lines += [(f"{name} bytes", _median(media["bytes"])), (f"{name} formats", _formats(media))]
    return _lay_out(lines)


def _rows(summaries: Iterable[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    def line(name: str, figure) -> tuple[str, ...]:
        return (name, *(figure(summary) if summary["rows"] else "–" for summary in summaries))

    summaries = list(summaries)
    return [
        line("rows", lambda it: f"{it['rows']:,}"),
        line("documents", lambda it: f"{it['documents']:,}"),
        line("unusable records", lambda it: f"{it['skipped_records']:,}"),
        line("tokens in use", lambda it: figures.percent(it["tokens"]["used_share"])),
        line("of these, targets", lambda it: figures.percent(it["tokens"]["targets_share"])),
        line("rows without image", lambda it: figures.percent(it["rows_without_images_share"])),
        line("images a row", lambda it: _histogram(it["images_a_row"])),
        line("tokens by image seen", lambda it: _histogram(it["image_index"])),
        line("images no token sees", lambda it: f"{it['images_unseen']:,}"),
        line("see the next image", lambda it: _or_dash(it["sees_next_share"])),
        line("tokens after an image", lambda it: _median(it["text_after_image"])),
        line("image width", lambda it: _median(it["stills"]["width"])),
        line("image height", lambda it: _median(it["stills"]["height"])),
        line("clip seconds", lambda it: _median(it["clips"].get("seconds", {}))),
        line("encoded kB a row", lambda it: _median(it["encoded_bytes_a_row"], 1e-3)),
        line("batch kB a row", lambda it: figures.number(it["batch_bytes_a_row"] / 1e3)),
    ]


def _median(values: Mapping[str, float], unit: float = 1.0) -> str:
    """The median, and between which percentiles nine tenths lie."""
    if not values.get("count"):
        return "–"
    low, middle, high = (figures.count(values[name] * unit) for name in ("p5", "p50", "p95"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _histogram(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    return "  ".join(f"{key}: {figures.percent(count / total)}" for key, count in list(counts.items())[:7])


def _formats(media: Mapping[str, Any]) -> str:
    unknown = {"unreadable": media["unreadable"]} if media["unreadable"] else {}
    return _histogram(media["formats"] | unknown)


def _or_dash(value: float | None) -> str:
    return "–" if value is None else figures.percent(value)


def _lay_out(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
