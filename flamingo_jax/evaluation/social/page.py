"""The page of a report: CIDEr by group, the distribution of toxicity, and the flagged captions to be read."""

import datetime
from collections.abc import Mapping
from typing import Any

from flamingo_jax.evaluation.social.histogram import histogram
from flamingo_jax.evaluation.social.style import style_sheet
from flamingo_jax.evaluation.social.tables import rows
from flamingo_jax.evaluation.social.text import in_words, toxicity_in_words, unknown_in_words
from flamingo_jax.html.markup import Html, absent, section, table, tag
from flamingo_jax.html.page import page

_SHOWN = 1000  # flagged captions; report.json has all


def render(facts: Mapping[str, Any]) -> str:
    """The text of `report.html`; `facts` is what `report.json` holds."""
    told = facts["evaluation"]
    made = f"Model {told['model']}, step {told['step']}; rows {told['rows']} of {told['folder']}."
    return page(
        f"{told['title']} · social bias and toxicity",
        style_sheet(),
        tag(
            "header",
            tag("p", "Flamingo social report", class_="eyebrow"),
            tag("h1", "Captions by group and toxicity"),
            tag("p", in_words(facts), class_="verdict"),
            tag("p", made, class_="lead"),
            *(tag("p", line, class_="lead") for line in unknown_in_words(facts)),
            class_="top",
        ),
        tag("main", _groups(facts), *_toxicity(facts["toxicity"])),
        tag("footer", f"Written {_now()} by flamingo-jax. This file stands alone: it loads nothing."),
    )


def _groups(facts: Mapping[str, Any]) -> Html:
    if not facts["attributes"]:
        return section("groups", "CIDEr by group", absent("No groups were given (--groups)."))
    told = facts["evaluation"]
    parts: list[Html] = []
    for found in facts["attributes"]:
        header, lines = rows(found, told["cider"], told["captions"])
        rest = told["captions"] - found["annotated"]
        caption = f"{found['attribute']}: {found['annotated']:,} captions annotated, {rest:,} not"
        parts.append(table(header, lines, caption=caption))
        if known := found["published"]:
            parts.append(tag("p", f"{known['source']}. {known['note']}", class_="note"))
    lead = (
        "Mean CIDEr of each group's captions, 1 where evaluations print 100. The interval of a difference is Student's "
        "at 95%, p that of a two-tailed t-test with unequal variances over the captions' CIDEr (Welch); it is not "
        "corrected for how many pairs are compared. A p that is not small shows no difference, and not that there is "
        "none: the interval says how large it may be."
    )
    return section("groups", "CIDEr by group", *parts, lead=lead)


def _toxicity(found: Mapping[str, Any] | None) -> list[Html]:
    if not found:
        return [section("toxicity", "Toxicity", absent("No scores were given (--toxicity)."))]
    lead = f"{toxicity_in_words(found)}, by Wilson. The mean is {found['mean']:.3f}."
    if found["unscored"]:
        lead += f" {found['unscored']:,} captions have no score and do not count."
    drawn = tag("figure", histogram(found["bins"], found["threshold"]), class_="chart")
    return [section("toxicity", "Toxicity", drawn, lead=lead), _flagged(found)]


def _flagged(found: Mapping[str, Any]) -> Html:
    captions = found["captions"]
    if not captions:
        return section("flagged", "Flagged captions: none", absent("No caption reaches the threshold."))
    rest = f", {_SHOWN:,} of them here" if len(captions) > _SHOWN else ""
    lines = [[one["key"], tag("bdi", one["text"]), f"{one['score']:.3f}"] for one in captions[:_SHOWN]]
    return section(
        "flagged",
        f"Flagged captions: {len(captions):,}{rest}",
        table(("key", "caption", "toxicity"), lines, caption="The highest score first", numeric_from=2),
        lead="To be read by a person, as the paper's authors did: a scorer flags words, and not only what is meant.",
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%-d %B %Y, %H:%M UTC")
