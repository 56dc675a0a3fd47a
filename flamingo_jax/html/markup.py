"""HTML that is safe by default: whatever is not `Html` already is escaped when it enters a tag."""

from collections.abc import Iterable
from html import escape as _escape
from typing import Any


class Html(str):
    """Markup that is ready to stand in the page; a plain `str` is text and gets escaped."""

    __slots__ = ()


def text(value: Any) -> Html:
    """`value` as escaped text, `Html` unchanged, None as nothing.

    Lone surrogates, which JSON allows and UTF-8 does not, become question marks.
    """
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    return Html(_escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True))


def join(parts: Iterable[Any], separator: str = "") -> Html:
    """The parts in a row, each made safe."""
    return Html(text(separator).join(text(part) for part in parts))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """An element. `class_` stands for `class`, other underscores for hyphens; None leaves an attribute out."""
    fields = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{fields}>{join(children)}</{name}>")


def void(name: str, /, **attributes: Any) -> Html:
    """An HTML element that has no content and no end tag, such as `img` or `meta`."""
    return Html(tag(name, **attributes).removesuffix(f"</{name}>"))


def section(anchor: str, title: str, *children: Any, lead: Any = None) -> Html:
    """A titled part of the page that the table of contents can point to."""
    head = tag("h2", title, id=f"{anchor}-title")
    return tag(
        "section",
        head,
        tag("p", lead, class_="lead") if lead else "",
        *children,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def absent(sentence: str) -> Html:
    """What stands in the place of a part whose input is not there."""
    return tag("p", sentence, class_="absent")


def details(summary: Any, *children: Any, **attributes: Any) -> Html:
    """A part that opens on a click."""
    return tag("details", tag("summary", summary), *children, **attributes)


def table(header: Iterable[Any], rows: Iterable[Iterable[Any]], *, caption: str, numeric_from: int = 1) -> Html:
    """A table; columns from `numeric_from` on hold figures and are aligned to the right. Wide ones scroll sideways."""

    def row(cells: Iterable[Any], kind: str) -> Html:
        made = []
        for column, cell in enumerate(cells):
            scope = "col" if kind == "th" else "row" if column == 0 else None
            name = "th" if scope else "td"
            made.append(tag(name, cell, scope=scope, class_="number" if column >= numeric_from else None))
        return tag("tr", *made)

    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", row(header, "th")),
            tag("tbody", *(row(cells, "td") for cells in rows)),
        ),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )
