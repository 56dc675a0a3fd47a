"""The figures of the page: what was reached, as a drawing and as tables, beside what was published."""

from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.evaluation import published
from flamingo_jax.evaluation.fewshot.page.chart import Series, chart, series_of
from flamingo_jax.html.figures import finite, signed
from flamingo_jax.html.markup import Html, absent, details, section, table, tag

_OWN_COLOUR, _OTHER_COLOUR = "var(--accent)", "var(--good)"


def verdict(summary: Mapping[str, Any]) -> str:
    """The best result in a sentence or two."""
    known = [one for one in summary.get("results") or () if finite(one.get("value")) is not None]
    name, metric = model_name(summary), summary.get("metric", "score")
    where = f"{name} at step {summary['step']:,}" if isinstance(summary.get("step"), int) else name
    if not known:
        return f"{where}: the references of this split are kept back, so there is no value; the answers can be sent in."
    best = max(known, key=lambda one: finite(one["value"]))
    told = f"{where} reaches {metric} {_with_interval(best)} with {_shots(best)}"
    items = summary.get("items")
    told += f", on {items:,} items of {summary.get('split', 'its split')}." if isinstance(items, int) else "."
    without = [one for one in known if one.get("shots") == 0 and one is not best]
    if without:
        gain = finite(best["value"]) - finite(without[0]["value"])
        told += f" That is {signed(gain, 1)} beside {finite(without[0]['value']):.1f} without examples."
    return told


def model_name(summary: Mapping[str, Any]) -> str:
    """What the model is called."""
    model = summary.get("model")
    return str(model.get("name") or "the model") if isinstance(model, Mapping) else str(model or "the model")


def figures_section(summary: Mapping[str, Any]) -> Html:
    """The drawing, the table under it with published figures, and the parts of the score."""
    name, metric = str(summary.get("benchmark", "")), str(summary.get("metric", "score"))
    own = _own(summary)
    known = published.figures(name)
    others = [series_of(one) for one in known if one.values]
    levels = [(f"{one.model}, {one.how}", one.fixed) for one in known if one.fixed is not None]
    if not own and not others:
        return section("figures", "Score by examples", absent("There is no value to show."))
    drawing = tag(
        "div", chart([*others, *own], levels, metric), class_="scroll", tabindex=0, role="region", aria_label="Chart"
    )
    lead = f"{metric} by the number of examples in the prompt. Thick: here, with 95% intervals; thin: published."
    return section(
        "figures", "Score by examples", drawing, _table(own, known), _parts(summary), _sources(known), lead=lead
    )


def _own(summary: Mapping[str, Any]) -> list[Series]:
    lines: dict[str, dict[int, tuple[float, float | None, float | None]]] = {}
    for one in summary.get("results") or ():
        value = finite(one.get("value"))
        if value is not None:
            at = lines.setdefault(str(one.get("selection") or "random"), {})
            at[int(one.get("shots") or 0)] = value, finite(one.get("low")), finite(one.get("high"))
    name = model_name(summary)
    own = [
        Series(
            name if selection == "random" else f"{name}, {_spelt(selection)}",
            values,
            _OWN_COLOUR,
            True,
            selection != "random",
        )
        for selection, values in lines.items()
    ]
    baselines: dict[str, dict[int, tuple[float, float | None, float | None]]] = {}
    for one in summary.get("baselines") or ():
        value = finite(one.get("value"))
        if value is not None:
            cell = value, finite(one.get("low")), finite(one.get("high"))
            baselines.setdefault(str(one.get("name")), {})[int(one.get("shots") or 0)] = cell
    return [Series(name, values, _OTHER_COLOUR, own=True) for name, values in baselines.items()] + own


def _table(own: Sequence[Series], known: Sequence[published.Published]) -> Html:
    shots = sorted({count for line in own for count in line.values} | {count for one in known for count in one.values})
    lines: list[list[Any]] = []
    for line in reversed(own):
        cells = [_cell(*line.values[count]) if count in line.values else "–" for count in shots]
        lines.append([tag("b", line.name), *cells])
    for one in known:
        if one.values:
            cells = [f"{one.values[count]:.1f}" if count in one.values else "–" for count in shots]
            lines.append([_label(one), *cells])
    few_shot = table(["", *map(str, shots)], lines, caption="By the number of examples in the prompt")
    fixed = [[_label(one), f"{one.fixed:.1f}"] for one in known if one.fixed is not None]
    return tag("div", few_shot, table(["", "value"], fixed, caption="Not few-shot") if fixed else "", class_="tables")


def _cell(value: float, low: float | None, high: float | None) -> Html:
    interval = "" if low is None or high is None else tag("small", f"{low:.1f} to {high:.1f}")
    return tag("span", tag("b", f"{value:.1f}"), interval, class_="own-cell")


def _label(one: published.Published) -> Html:
    how = "" if one.how == "random support" else f", {one.how}"
    return tag("span", one.model + how, tag("small", one.note, class_="note-cell") if one.note else "")


def _parts(summary: Mapping[str, Any]) -> Html:
    results = [one for one in summary.get("results") or () if one.get("parts")]
    names = list(dict.fromkeys(name for one in results for name in one["parts"]))
    if not names:
        return Html("")
    lines = []
    for one in results:
        values = [finite(one["parts"].get(name)) for name in names]
        lines.append([_shots(one), *("–" if value is None else f"{value:.1f}" for value in values)])
    return details("Parts of the score", table(["", *names], lines, caption="Means over the seeds"))


def _sources(known: Sequence[published.Published]) -> Html:
    if not known:
        return tag("p", "Nothing published is known of this benchmark.", class_="note")
    by_source: dict[str, list[str]] = {}
    for one in known:
        models = by_source.setdefault(one.source, [])
        if one.model not in models:
            models.append(one.model)
    lines = [tag("li", f"{source}: {', '.join(models)}.") for source, models in by_source.items()]
    return details("Where the published figures are from", tag("ul", *lines, class_="sources"))


def _with_interval(one: Mapping[str, Any]) -> str:
    value, low, high = (finite(one.get(name)) for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:.1f}"
    how = f", {one['interval']}" if one.get("interval") else ""
    return f"{value:.1f} (95% interval {low:.1f} to {high:.1f}{how})"


def _shots(one: Mapping[str, Any]) -> str:
    shots, selection = one.get("shots") or 0, str(one.get("selection") or "random")
    told = "1 example" if shots == 1 else f"{shots} examples"
    return told if selection == "random" or not shots else f"{told} by {_spelt(selection)}"


def _spelt(selection: str) -> str:
    return "RICES" if selection == "rices" else selection
