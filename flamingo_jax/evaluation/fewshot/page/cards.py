"""One example as a card: what was shown and asked, what the model said, and what would have been right."""

from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.evaluation.fewshot.page.candidates import candidates, short_candidates
from flamingo_jax.evaluation.fewshot.page.choice import Example, margin, setting_of
from flamingo_jax.evaluation.fewshot.page.pictures import Pictures
from flamingo_jax.evaluation.fewshot.page.prompt_parts import marked, split_prompt
from flamingo_jax.evaluation.fewshot.row_files import Row
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, details, tag

_REFERENCES = 12


def card(example: Example, support: Mapping[str, Any], metric: str, pictures: Pictures) -> Html:
    """The card of one example.

    Args:
      example: its rows.
      support: key -> medium of the support set's items.
      metric: name of what `share` is of.
      pictures: makes the small copies.
    """
    row = example.row
    prompt = str(row.get("prompt") or "")
    keys = [str(key) for key in row.get("support") or ()]
    texts, asked = split_prompt(prompt, len(keys))
    return tag(
        "article",
        tag("header", tag("h3", row.get("key")), _share(row, metric)),
        tag("div", tag("div", pictures.large(row.get("media")), class_="shown"), _said(row, asked), class_="split"),
        _support(keys, texts, support if row.get("support_shown", True) else None, pictures),
        tag(
            "div",
            details(
                f"Full prompt, {len(prompt):,} characters",
                tag("pre", marked(prompt), tabindex=0, role="region", aria_label="Full prompt"),
            ),
            _elsewhere(example.others),
            class_="more",
        ),
        class_="card",
    )


def _share(row: Row, metric: str) -> Html:
    share = figures.finite(row.get("share"))
    if share is not None:
        return tag("p", f"{metric} ", tag("b", f"{share:.1f}"), class_="share")
    ahead = margin(row)
    if ahead is not None:
        return tag("p", "margin ", tag("b", figures.signed(ahead, 2)), " nats", class_="share")
    return tag("p", "no score of its own", class_="share")


def _said(row: Row, asked: str) -> Html:
    parts = [_labelled("Asked", tag("p", asked, dir="auto"))] if asked else []
    answer = row.get("answer")
    if answer is not None:
        shown = tag("p", answer, dir="auto", class_="answer") if str(answer).strip() else _nothing("an empty answer")
        parts.append(_labelled("Answered", shown))
        uncut = row.get("answer_uncut")
        if uncut and uncut != answer:
            parts.append(details("Before it was cut", tag("pre", uncut, dir="auto")))
    if row.get("candidates"):
        parts.append(_labelled("Ranked", candidates(row["candidates"], row.get("candidates_total"))))
    references = row.get("references") or ()
    if references or not row.get("candidates"):
        parts.append(_labelled("References", _references(references)))
    return tag("div", *parts, class_="said")


def _references(references: Sequence[Any]) -> Html:
    if not references:
        return _nothing("kept back by the release")
    counts: dict[str, int] = {}
    for reference in references:  # ten people who say the same are one line
        counts[str(reference)] = counts.get(str(reference), 0) + 1
    ordered = sorted(counts, key=lambda text: -counts[text])
    lines = [
        tag("li", tag("bdi", text), tag("small", f" × {counts[text]}") if counts[text] > 1 else "")
        for text in ordered[:_REFERENCES]
    ]
    more = len(ordered) - _REFERENCES
    return tag("ul", *lines, tag("li", tag("small", f"and {more} more")) if more > 0 else "", class_="references")


def _support(
    keys: Sequence[str], texts: Sequence[str] | None, media: Mapping[str, Any] | None, pictures: Pictures
) -> Html:
    """The examples in the prompt; `media` is None where their pictures were left out."""
    if not keys:
        return Html("")
    made = []
    for place, key in enumerate(keys):
        picture = "" if media is None else pictures.small(media.get(key))
        text = "" if texts is None else tag("figcaption", texts[place], dir="auto")
        made.append(tag("li", tag("figure", picture, text, title=key)))
    told = "in its order" if media is not None else "without their pictures"
    count = f"{len(keys)} example{'s' * (len(keys) != 1)}"
    return tag(
        "div", tag("h4", f"{count} in the prompt, {told}"), tag("ol", *made, class_="support"), class_="examples"
    )


def _elsewhere(others: Sequence[Row]) -> Html:
    if not others:
        return Html("")
    lines = []
    for row in others:
        setting = setting_of(row)
        name = f"{setting.shots} shots" + (f", {setting.selection}" if setting.selection != "random" else "")
        answer = row.get("answer")
        said = short_candidates(row.get("candidates") or ()) if answer is None else tag("bdi", answer)
        share = figures.finite(row.get("share"))
        cells = (tag("th", name, scope="row"), tag("td", said), tag("td", "" if share is None else f"{share:.1f}"))
        lines.append(tag("tr", *cells))
    return details("The same with other prompts", tag("table", tag("tbody", *lines), class_="elsewhere"))


def _labelled(label: str, content: Html) -> Html:
    return tag("div", tag("h4", label), content)


def _nothing(told: str) -> Html:
    return tag("p", told, class_="absent")
