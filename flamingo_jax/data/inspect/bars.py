"""Small drawings of counts, in markup and CSS alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.data.inspect.tokens import colour
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag

_LONGEST = 58  # percent of the width; the figures take the rest
_MOST = 12  # bars; the others are added up


def tiles(values: Sequence[tuple[str, str, str]]) -> Html:
    """(name, figure, remark) side by side."""
    made = [
        tag("div", tag("dt", name), tag("dd", tag("b", figure), tag("small", remark) if remark else ""))
        for name, figure, remark in values
    ]
    return tag("dl", *made, class_="tiles")


def histogram(title: str, counts: Mapping[str, int]) -> Html:
    """A bar for each key, and its share."""
    total = sum(counts.values())
    if not total:
        return Html("")
    shown = dict(list(counts.items())[:_MOST])
    if rest := total - sum(shown.values()):
        shown["more"] = rest
    most = max(shown.values())
    rows = [
        tag(
            "div",
            tag("dt", key),
            tag(
                "dd", tag("span", "", class_="bar", style=f"width:{_LONGEST * count / most:.1f}%"), _share(count, total)
            ),
        )
        for key, count in shown.items()
    ]
    return tag("div", tag("h5", title), tag("dl", *rows), class_="histogram")


def parts(title: str, counts: Mapping[str, int]) -> Html:
    """One bar in parts that have the images' colours: how many tokens see each image."""
    total = sum(counts.values())
    if not total:
        return Html("")
    made = [
        tag(
            "span",
            tag("b", key),
            class_=f"part {colour(int(key))}",
            style=f"flex:{count}",
            title=f"{'no image' if key == '0' else f'image {key}'}: {count:,} tokens, {figures.percent(count / total)}",
        )
        for key, count in counts.items()
    ]
    return tag("div", tag("h5", title), tag("div", *made, class_="parts"), class_="histogram")


def spreads(caption: str, rows: Mapping[str, Mapping[str, Any]]) -> Html:
    """A table of `spread`s, those of no values left out."""
    rows = {name: values for name, values in rows.items() if values.get("count")}
    if not rows:
        return Html("")
    columns = [name for name in next(iter(rows.values())) if name != "count"]
    head = tag("tr", tag("th", ""), *(tag("th", name, scope="col") for name in columns))
    body = [
        tag("tr", tag("th", name, scope="row"), *(tag("td", figures.count(values[column])) for column in columns))
        for name, values in rows.items()
    ]
    return tag("div", tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body)), class_="scroll")


def _share(count: int, total: int) -> Html:
    return tag("span", f"{figures.percent(count / total)} ", tag("small", f"{count:,}"))
