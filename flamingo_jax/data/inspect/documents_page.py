"""The page of a stored dataset's documents, in reading order."""

import itertools
from typing import Any

from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.inspect.bars import histogram, spreads, tiles
from flamingo_jax.data.inspect.documents import InspectedDocuments
from flamingo_jax.data.inspect.frame import frame
from flamingo_jax.data.inspect.pictures import document_medium
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, details, tag

_MOST_TEXT = 20_000  # characters of a document that are shown
_MOST_MEDIA = 24
_KINDS = {"image": Image, "clip": Video}


def documents_page(found: InspectedDocuments) -> str:
    """The whole page as text."""
    summary = found.statistics.summary()
    told = (
        f"{summary['documents']:,} of {summary['records']:,} documents, taken at random (always the same), gave the "
        f"figures; the first {len(found.shown)} are shown in reading order."
    )
    cards = [_card(record, document) for record, document in found.shown]
    body = tag("div", *cards, class_="pairs" if found.kind in ("pairs", "video") else None)
    return frame(found.name, "flamingo-jax · documents", told, {}, [_figures(summary), tag("section", body)])


def _figures(summary: dict[str, Any]) -> Html:
    origin = "as asked for" if summary["kind_given"] else "by the records"
    values = [("kind", summary["kind"], origin)]
    values += [
        (f"{name} a document", figures.number(summary[name]["mean"]), "on average")
        for name in ("paragraphs", "words", "images", "clips")
        if summary[name].get("max")
    ]
    read = summary["documents"] + summary["damaged_records"]
    for count, name in ((summary["unfit"]["count"], "not of this kind"), (summary["damaged_records"], "damaged")):
        if count:
            values.append((name, f"{count:,}", figures.percent(count / read)))
    unfit = tag("ul", *(tag("li", example) for example in summary["unfit"]["examples"]), class_="examples")
    counted = [name for name in ("paragraphs", "words", "images", "clips", "bytes") if summary[name].get("max")]
    rows = {f"{name} a document": summary[name] for name in counted}
    formats: dict[str, int] = {}
    for name, media in (("image", summary["stills"]), ("clip", summary["videos"])):
        formats |= media["formats"] | ({f"unreadable {name}s": media["unreadable"]} if media["unreadable"] else {})
        rows |= {f"{name} {what}": media[what] for what in ("width", "height", "bytes", "seconds") if what in media}
    return tag(
        "section",
        tiles(values),
        details("Not of this kind", unfit) if summary["unfit"]["count"] else "",
        tag("div", histogram("formats", formats), class_="charts"),
        spreads("Over all documents read; p5 to p95 are percentiles.", rows),
    )


def _card(record: int, document: Document) -> Html:
    parts, left, media = [], _MOST_TEXT, itertools.count(1)
    for item in document.items:
        if isinstance(item, Text):
            if left > 0:
                parts.append(tag("p", item.text[:left], class_="text", dir="auto"))
            left -= len(item.text)
        elif (place := next(media)) <= _MOST_MEDIA:
            parts.append(document_medium(place, item))
    if left < 0:
        parts.append(tag("p", f"{-left:,} more characters are not shown", class_="pad"))
    if (more := len(document.media) - _MOST_MEDIA) > 0:
        parts.append(tag("p", f"{more:,} more images or clips are not shown", class_="pad"))
    words = sum(len(item.text.split()) for item in document.items if isinstance(item, Text))
    head = tag(
        "header",
        tag("h4", document.key),
        tag("span", f"record {record:,} · {words:,} words, {_media(document)}"),
    )
    return tag("article", head, tag("div", *parts, class_="reading"), class_="document")


def _media(document: Document) -> str:
    counts = {name: sum(isinstance(item, kind) for item in document.items) for name, kind in _KINDS.items()}
    told = [f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if count]
    return ", ".join(told) or "no image"
