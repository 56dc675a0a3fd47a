"""What the data pipelines kept and what each filter dropped, a table per dataset."""

from typing import Any

from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, details, section, tag

_MOST_EXAMPLES = 12  # per filter


def corpora(contents: tuple[dict[str, Any], ...]) -> Html:
    """The section "Data", from the contents of the corpora's `drops.json`."""
    if not contents:
        return section("data", "Data", absent("No record of what the data pipelines dropped was given."))
    lead = "What each corpus kept, and what its filters dropped. Bars compare the filters that drop the same unit."
    return section("data", "Data", *map(_corpus, contents), lead=lead)


def _corpus(content: dict[str, Any]) -> Html:
    found = content.get("drops")
    drops = [drop for drop in found if isinstance(drop, dict)] if isinstance(found, list) else []
    head = tag("h3", content.get("dataset") or "unnamed corpus")
    parts = [head, _kept(content)]
    if drops:
        parts.append(_filters(drops, str(content.get("dataset") or "unnamed corpus")))
    else:
        parts.append(tag("p", "No filter dropped anything.", class_="note"))
    return tag("div", *parts, class_="corpus")


def _kept(content: dict[str, Any]) -> Html:
    kept, seconds = content.get("kept"), figures.finite(content.get("seconds"))
    counts = kept.items() if isinstance(kept, dict) else ()
    entries = [
        tag("li", tag("b", figures.count(value)), " ", _words(name))
        for name, raw in counts
        if (value := figures.finite(raw)) is not None
    ]
    if seconds is not None:
        entries.append(tag("li", "built in ", tag("b", figures.duration(seconds))))
    return tag("ul", *entries, class_="kept", aria_label="kept") if entries else Html("")


def _filters(drops: list[dict[str, Any]], dataset: str) -> Html:
    """One table; the filters that drop the same unit stand together, and their bars share a scale."""
    units: dict[str, list[dict[str, Any]]] = {}
    for drop in drops:
        units.setdefault(_words(drop.get("unit") or "record"), []).append(drop)
    bodies = []
    for unit, group in units.items():
        group.sort(key=_count, reverse=True)
        total = sum(map(_count, group))
        head = (
            tag("th", f"Dropped · {unit}", scope="rowgroup"),
            tag("td", figures.count(total), class_="number"),
        )
        rows = [_filter(drop, max(_count(group[0]), 1)) for drop in group]
        bodies.append(tag("tbody", tag("tr", *head, tag("td", class_="bar"), class_="unit-row"), *rows))
    return tag("table", tag("caption", f"Dropped from {dataset}", class_="unseen"), *bodies, class_="drops")


def _filter(drop: dict[str, Any], most: int) -> Html:
    count = _count(drop)
    fill = tag("span", class_="fill", style=f"width:{100 * count / most:.1f}%") if count else Html("")
    name = tag("span", _words(drop.get("rule") or "unnamed filter"))
    return tag(
        "tr",
        tag("th", name, _examples(drop.get("examples"), count), scope="row"),
        tag("td", figures.count(count), class_="number"),
        tag("td", tag("span", fill, class_="track", aria_hidden="true"), class_="bar"),
    )


def _examples(found: Any, count: int) -> Html:
    examples = found if isinstance(found, list) else []
    if not examples:
        return Html("")
    told = "1 example" if len(examples) == 1 else f"{min(len(examples), _MOST_EXAMPLES)} examples"
    told += f" of {count:,}" if count > len(examples[:_MOST_EXAMPLES]) else ""
    shown = [tag("li", example) for example in examples[:_MOST_EXAMPLES]]
    return details(told, tag("ul", *shown))


def _count(drop: dict[str, Any]) -> int:
    return max(0, int(figures.finite(drop.get("count")) or 0))


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
