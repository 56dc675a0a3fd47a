"""Puts the page together and writes the file."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from etils import epath

from flamingo_jax.evaluation.fewshot.page.cards import card
from flamingo_jax.evaluation.fewshot.page.choice import Choice, choose
from flamingo_jax.evaluation.fewshot.page.pictures import Pictures
from flamingo_jax.evaluation.fewshot.page.scores import figures_section, model_name, verdict
from flamingo_jax.evaluation.fewshot.page.style import style_sheet
from flamingo_jax.evaluation.fewshot.row_files import Row
from flamingo_jax.html.files import write_whole
from flamingo_jax.html.markup import Html, absent, section, tag
from flamingo_jax.html.page import page


def write_page(
    path: epath.PathLike,
    summary: Mapping[str, Any],
    rows: Iterable[Row],
    support: Mapping[str, Any],
    *,
    examples: int = 18,
    seed: int = 0,
) -> epath.Path:
    """Writes the page of an evaluation as one HTML file that needs no other file, no network and no script.

    Args:
      path: of the file, which appears only when it is complete.
      summary: what was evaluated and what came of it.
      rows: one for each item and setting; gone through twice, so a list or `RowFiles`.
      support: key -> medium of the items that prompts show as examples.
      examples: how many are shown: a third best, a third worst, a third any.
      seed: of the choice of examples.

    Returns:
      The path.

    Raises:
      OSError: the file cannot be written or the rows cannot be read. Pictures that cannot be read cost only themselves.
      ValueError: the rows' files are damaged.
    """
    path = epath.Path(path)
    write_whole(path, render(summary, rows, support, examples=examples, seed=seed))
    return path


def render(
    summary: Mapping[str, Any], rows: Iterable[Row], support: Mapping[str, Any], *, examples: int = 18, seed: int = 0
) -> str:
    """The text of the page; arguments as of `write_page`."""
    chosen = choose(rows, list(summary.get("results") or ()), examples, seed)
    title, metric = str(summary.get("title") or summary.get("benchmark") or "Benchmark"), str(summary.get("metric", ""))
    parts = [
        (anchor, heading, lead, shown)
        for anchor, heading, lead, shown in (
            ("best", "Best examples", _order(chosen, "highest"), chosen.best),
            ("worst", "Worst examples", _order(chosen, "lowest"), chosen.worst),
            ("any", "Any examples", "Drawn at random from the others.", chosen.any),
        )
        if shown
    ]
    links = [("figures", "Score"), *((anchor, heading) for anchor, heading, _, _ in parts), ("settings", "Settings")]
    pictures = Pictures()
    body = [
        tag("a", "Skip to the figures", href="#figures", class_="skip"),
        tag(
            "header",
            tag("p", "Flamingo few-shot evaluation", class_="eyebrow"),
            tag("h1", title, tag("span", metric)),
            tag("p", verdict(summary), class_="verdict"),
            *(tag("p", note, class_="remark") for note in _notes(summary)),
            tag("nav", *(tag("a", label, href=f"#{anchor}") for anchor, label in links), aria_label="Contents"),
            class_="top",
        ),
        tag(
            "main",
            figures_section(summary),
            *(
                section(anchor, heading, *(card(one, support, metric, pictures) for one in shown), lead=lead)
                for anchor, heading, lead, shown in parts
            ),
            "" if parts else section("best", "Examples", absent("There are no rows to show.")),
            _settings(summary, chosen),
        ),
        tag("footer", f"Written {_now()} by flamingo-jax. This file stands alone: it loads nothing."),
    ]
    return page(f"{title} · {model_name(summary)} · few-shot evaluation", style_sheet(), *body)


def _order(chosen: Choice, end: str) -> str:
    if chosen.setting is None:
        return ""
    by = "margin of the true candidate over the others" if chosen.by_margin else "score"
    count = chosen.setting.shots
    return f"Those with the {end} {by}, with {count} example{'s' * (count != 1)} in the prompt; drawn among equals."


def _notes(summary: Mapping[str, Any]) -> list[str]:
    notes = [str(note) for note in summary.get("notes") or ()]
    missing = summary.get("missing")
    if isinstance(missing, int) and missing > 0:
        notes.append(f"{missing:,} items were left out because their pictures or clips are missing.")
    return notes


def _settings(summary: Mapping[str, Any], chosen: Choice) -> Html:
    model = summary.get("model")
    facts = {
        "Model": dict(model) if isinstance(model, Mapping) else {"name": model},
        "Evaluation": {
            "benchmark": summary.get("benchmark"),
            "split": summary.get("split"),
            "checkpoint's step": summary.get("step"),
            "items": summary.get("items"),
            "seeds": _seeds(summary),
            "examples shown here": None if chosen.setting is None else f"seed {chosen.setting.seed}",
        },
        "Decoding": summary.get("decoding") or {},
    }
    lists = [_list(name, values) for name, values in facts.items() if isinstance(values, Mapping) and values]
    return section("settings", "Settings", tag("div", *lists, class_="settings"))


def _list(name: str, values: Mapping[str, Any]) -> Html:
    told = [(key, value) for key, value in values.items() if value is not None and value != ""]
    return tag(
        "div",
        tag("h3", name),
        tag("dl", *(tag("div", tag("dt", str(key).replace("_", " ")), tag("dd", _text(value))) for key, value in told)),
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _seeds(summary: Mapping[str, Any]) -> str:
    seeds = [one.get("seed") for result in summary.get("results") or () for one in result.get("seeds") or ()]
    return ", ".join(map(str, dict.fromkeys(seeds)))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%-d %B %Y, %H:%M UTC")
