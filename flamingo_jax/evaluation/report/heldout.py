"""What the model says about images that it has not seen, and what it says when it is shown the wrong ones."""

import re
from difflib import SequenceMatcher
from typing import Any

from etils import epath

from flamingo_jax.evaluation.report.dots import pair_chart, scatter
from flamingo_jax.evaluation.report.figure import figure
from flamingo_jax.evaluation.report.inputs import Inputs
from flamingo_jax.evaluation.report.thumbnails import thumbnail
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, join, section, tag, text, void

_IMAGE_SIDE, _WRONG_SIDE = 320, 160  # px; twice the size on the page, for dense displays


def heldout(inputs: Inputs, most: int) -> Html:
    """The section "Held-out examples" with at most `most` cards, in the order of the file: none is picked."""
    title = "Held-out examples"
    if inputs.heldout is None:
        return section("heldout", title, absent("There is no heldout.json: the run has not been evaluated yet."))
    found = inputs.heldout.get("examples")
    examples = [example for example in found if isinstance(example, dict)] if isinstance(found, list) else []
    charts = [chart for chart in (_accuracies(inputs.heldout), _paired(examples)) if chart]
    cards = [_card(example, inputs.workdir) for example in examples[:most]]
    charts = [*charts, _guide(examples, len(cards))] if cards else charts
    return section(
        "heldout",
        title,
        tag("div", *charts, class_="grid-charts") if charts else "",
        tag("div", *cards, class_="cards") if cards else absent("The evaluation stored no example."),
    )


def mark_words(answer: str, attributes: dict[str, tuple[str, str]]) -> Html:
    """`answer` with the words that name an attribute marked as right or wrong.

    `attributes`: name -> (truth, what the answer says).
    """
    said = {word.casefold(): word.casefold() == truth.casefold() for truth, word in attributes.values() if word}
    if not said:
        return text(answer)
    pattern = re.compile(r"(?<!\w)(" + "|".join(map(re.escape, said)) + r")(?!\w)", re.IGNORECASE)
    pieces: list[Any] = []
    for place, piece in enumerate(pattern.split(answer)):
        if place % 2 == 0:
            pieces.append(piece)
        else:
            right = said.get(piece.casefold(), False)
            pieces.append(tag("mark", piece, class_="right" if right else "wrong"))
    return join(pieces)


def mark_changes(answer: str, other: str) -> Html:
    """`other` with the words marked that `answer` does not have in that place."""
    before, after = answer.split(), other.split()
    pieces: list[Any] = []
    for kind, _, _, start, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        words = " ".join(after[start:end])
        if words:
            pieces.append(words if kind == "equal" else tag("mark", words, class_="changed"))
    return join(pieces, " ")


def _guide(examples: list[dict[str, Any]], shown: int) -> Html:
    """How to read the cards, in the signs that they use."""
    total = len(examples)
    signs: list[tuple[Any, str]] = []
    if any(example.get("attributes") for example in examples):
        signs.append((tag("mark", "word", class_="right"), "names an attribute as the page does, ✓"))
        signs.append((tag("mark", "word", class_="wrong"), "names it otherwise, ✗"))
    if any(example.get("answer_wrong_image") for example in examples):
        signs.append((tag("mark", "word", class_="changed"), "changes when a wrong image is shown"))
    if any(figures.finite(example.get("nll")) is not None for example in examples):
        signs.append(("nats", "what a token of the page's caption costs the model; less is better"))
    rows = [tag("div", tag("dt", sign), tag("dd", meaning)) for sign, meaning in signs]
    which = f"The first {shown:,} of {total:,} examples" if shown < total else f"All {total:,} examples"
    note = tag("p", f"{which} stand below, in the order of the evaluation. None was picked.", class_="note")
    return figure("How to read the examples", "", tag("dl", *rows, class_="guide") if rows else Html(""), note)


def _accuracies(content: dict[str, Any]) -> Html | None:
    seen, blind = content.get("accuracy"), content.get("accuracy_blind")
    blind = blind if isinstance(blind, dict) else {}
    values = {str(name): figures.finite(value) for name, value in seen.items()} if isinstance(seen, dict) else {}
    rows = [(name, value, figures.finite(blind.get(name))) for name, value in values.items() if value is not None]
    if not rows:
        return None
    names = ("with the image", "blind baseline")
    description = "Accuracy per attribute. " + "; ".join(
        f"{name}: {figures.percent(value)}" + ("" if other is None else f", blind {figures.percent(other)}")
        for name, value, other in rows
    )
    return figure("Accuracy per attribute", "share of right answers", pair_chart(rows, names, description=description))


def _paired(examples: list[dict[str, Any]]) -> Html | None:
    points = []
    for example in examples:
        right, wrong = figures.finite(example.get("nll")), figures.finite(example.get("nll_wrong_image"))
        if right is not None and wrong is not None:
            told = f"{example.get('source', '')}: {figures.nats(right)}, with a wrong image {figures.nats(wrong)}"
            points.append((right, wrong, told))
    if not points:
        return None
    better = sum(wrong > right for right, wrong, _ in points)
    subtitle = f"nats a token; above the diagonal, in {better} of {len(points)}, the right one helps"
    drawing = scatter(points, ("with the right image →", "↑ with a wrong image"), description=f"Scatter: {subtitle}")
    return figure("Right against wrong image", subtitle, drawing)


def _card(example: dict[str, Any], workdir: epath.Path) -> Html:
    answer, wrong_answer = _string(example.get("answer")), _string(example.get("answer_wrong_image"))
    attributes = _attributes(example.get("attributes"))
    source, truth = _string(example.get("source")), _string(example.get("truth"))
    chips = [_chip(name, *pair) for name, pair in attributes.items()]
    body = [
        _said("The page says", text(truth) if truth else "–"),
        _said("The model says", mark_words(answer, attributes) if answer else "nothing", example.get("nll"), "answer"),
        tag("ul", *chips, class_="chips") if chips else "",
    ]
    parts = [_picture(example.get("image"), workdir, _IMAGE_SIDE, f"held-out image {source}", "picture"), *body]
    if wrong_answer or example.get("wrong_image"):
        shown = mark_changes(answer, wrong_answer) if wrong_answer else "nothing"
        picture = _picture(example.get("wrong_image"), workdir, _WRONG_SIDE, "the wrong image", "small picture")
        said = _said("Shown this image instead", shown, example.get("nll_wrong_image"))
        parts.append(tag("div", picture, tag("div", said), class_="instead"))
    parts.append(tag("p", source, class_="source"))
    return tag("article", *parts, class_="card")


def _said(who: str, words: Any, nll: Any = None, kind: str = "") -> Html:
    value = figures.finite(nll)
    cost = (
        tag("span", f"{figures.nats(value)} nats", title="per token of the page's caption") if value is not None else ""
    )
    return tag("div", tag("h4", who, " ", cost), tag("p", words), class_=f"said {kind}".strip())


def _chip(name: str, truth: str, said: str) -> Html:
    right = bool(said) and truth.casefold() == said.casefold()
    sign = tag("span", "✓" if right else "✗", aria_hidden="true")
    outcome = tag("span", "right: " if right else "wrong: ", class_="unseen")
    told = said if right else f"{said or 'not named'}, not {truth}" if said else f"{truth} not named"
    return tag(
        "li", sign, outcome, tag("span", name, class_="attribute"), " ", told, class_="right" if right else "wrong"
    )


def _picture(image: Any, workdir: epath.Path, side: int, description: str, kind: str) -> Html:
    try:
        return void("img", src=Html(thumbnail(image, workdir, side)), alt=description, class_=kind, loading="lazy")
    except ValueError as error:
        return tag("div", "no picture", tag("small", error), class_=f"{kind} missing")


def _attributes(found: Any) -> dict[str, tuple[str, str]]:
    pairs = found.items() if isinstance(found, dict) else ()
    return {
        str(name): (_string(pair[0]), _string(pair[1]))
        for name, pair in pairs
        if isinstance(pair, list | tuple) and len(pair) == 2
    }


def _string(value: Any) -> str:
    return "" if value is None else str(value)
