"""Few-shot evaluations of the run: a table for each benchmark, shots across, ways of choosing examples down."""

from typing import Any

from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, section, table, tag

_WAYS = {"random": "random examples", "rices": "RICES: the most alike examples", "blind": "blind: no image is seen"}


def few_shot(summaries: tuple[tuple[str, dict[str, Any]], ...]) -> Html:
    """The section "Few-shot", from (path of the page of examples, content of `summary.json`) of each evaluation."""
    title = "Few-shot"
    if not summaries:
        return section("few-shot", title, absent("No benchmark has been evaluated few-shot yet."))
    lead = (
        "What the model answers after some examples of the task (shots). Intervals are 95%: over the seeds of the "
        "examples where there are several, else over the questions."
    )
    return section("few-shot", title, *(_benchmark(path, summary) for path, summary in summaries), lead=lead)


def _benchmark(path: str, summary: dict[str, Any]) -> Html:
    rows: dict[str, dict[int, Html | str]] = {}
    for kind in ("results", "baselines"):
        found = summary.get(kind)
        for entry in found if isinstance(found, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("shots"), int):
                way = "blind" if kind == "baselines" else str(entry.get("selection"))
                rows.setdefault(way, {})[entry["shots"]] = _cell(entry)
    name = str(summary.get("title") or summary.get("benchmark") or "a benchmark")
    facts = [f"{summary.get('metric')}, split {summary.get('split')}"]
    if (items := figures.finite(summary.get("items"))) is not None:
        facts.append(f"{figures.count(items)} items")
    if (step := figures.finite(summary.get("step"))) is not None:
        facts.append(f"after update {figures.count(step)}")
    shots = sorted({count for row in rows.values() for count in row})
    body = table(
        ["", *(f"{count} shots" for count in shots)],
        [[_WAYS.get(way, way), *(row.get(count, "") for count in shots)] for way, row in rows.items()],
        caption=f"{name} by shots",
    )
    return tag(
        "div",
        tag("h3", name),
        tag("p", ", ".join(facts), ". ", tag("a", "Prompts and answers", href=path), class_="note"),
        body if shots else absent("It has no figures."),
        class_="corpus",
    )


def _cell(entry: dict[str, Any]) -> Html | str:
    value, low, high = (figures.finite(entry.get(name)) for name in ("value", "low", "high"))
    if value is None:
        return "-"
    interval = "" if low is None or high is None else tag("small", f" ({low:.1f} to {high:.1f})")
    return tag("span", f"{value:.1f}", interval)
