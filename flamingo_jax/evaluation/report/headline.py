"""The top of the page: what the run reached, in one sentence, two comparisons and a row of tiles."""

import math
from typing import Any

from flamingo_jax.evaluation.report.inputs import Inputs
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, details, section, table, tag, text

_KNOWN = {
    "loss_first", "loss_last", "heldout_nll_matched", "heldout_nll_shuffled_images", "heldout_nll_frozen_lm",
    "heldout_accuracy", "heldout_accuracy_blind", "params_trainable", "params_frozen", "tokens_per_second", "seconds",
}  # fmt: skip


def gain_over_shuffled(summary: dict[str, Any]) -> float | None:
    """Nats per caption token that the right image gains over a shuffled one; None where a figure is missing."""
    return _difference(summary, "heldout_nll_shuffled_images", "heldout_nll_matched")


def gain_over_blind(summary: dict[str, Any]) -> float | None:
    """Percentage points of accuracy over the baseline that sees no image; None where a figure is missing."""
    difference = _difference(summary, "heldout_accuracy", "heldout_accuracy_blind")
    return None if difference is None else 100 * difference


def verdict(inputs: Inputs) -> str:
    """The run in one or two plain sentences."""
    summary = inputs.summary or {}
    gain, points = gain_over_shuffled(summary), gain_over_blind(summary)
    sentences = []
    if gain is not None:
        if gain > 0:
            sentences.append(
                f"On held-out examples the right image makes a caption token {figures.number(gain, 2)} nats likelier "
                f"than a shuffled image does."
            )
        else:
            sentences.append("On held-out examples the right image helps no more than a shuffled one.")
    if points is not None:
        right, blind = figures.percent(summary["heldout_accuracy"]), figures.percent(summary["heldout_accuracy_blind"])
        sentences.append(f"It names {right} of the attributes correctly; without seeing the image, {blind}.")
    if not sentences and inputs.metrics is not None and inputs.metrics.steps.size:
        sentences.append(f"Logged up to step {int(inputs.metrics.steps[-1]):,}; not evaluated yet.")
    return " ".join(sentences)


def headline(inputs: Inputs) -> Html:
    """The section "At a glance"."""
    if inputs.summary is None:
        return section("glance", "At a glance", absent("There is no summary.json: the run has not been evaluated yet."))
    panels = [panel for panel in (_likelihood(inputs.summary), _accuracy(inputs.summary)) if panel]
    tiles = _tiles(inputs)
    others = [
        (name.replace("_", " "), figures.number(value, 4) if (value := figures.finite(raw)) is not None else str(raw))
        for name, raw in inputs.summary.items()
        if name not in _KNOWN and not isinstance(raw, dict | list)
    ]
    return section(
        "glance",
        "At a glance",
        tag("div", *panels, class_="panels") if panels else "",
        tag("dl", *tiles, class_="tiles") if tiles else "",
        details("More figures", table(("Figure", "Value"), others, caption="Other entries of the summary"))
        if others
        else "",
    )


def _difference(summary: dict[str, Any], more: str, less: str) -> float | None:
    high, low = figures.finite(summary.get(more)), figures.finite(summary.get(less))
    return None if high is None or low is None else high - low


def _likelihood(summary: dict[str, Any]) -> Html | None:
    bars = [
        ("right image", figures.finite(summary.get("heldout_nll_matched")), "strong"),
        ("shuffled image", figures.finite(summary.get("heldout_nll_shuffled_images")), ""),
        ("language model alone", figures.finite(summary.get("heldout_nll_frozen_lm")), ""),
    ]
    present = [(label, value, kind) for label, value, kind in bars if value is not None]
    if not present:
        return None
    longest = max(*(value for _, value, _ in present), 1e-9)
    rows = [_bar(label, value / longest, figures.nats(value), kind) for label, value, kind in present]
    note = "Negative log-likelihood of held-out captions, nats per token; shorter is better."
    if bars[2][1] is not None:
        note += " Alone: the frozen model without the layers that this run trains."
    gain = gain_over_shuffled(summary)
    if gain is None:
        return _panel("Held-out captions", "", "", rows, note)
    if gain > 0:
        note += f" The gain makes each token {figures.number(math.exp(min(gain, 50)), 2)} times as probable."
    figure = figures.signed(gain, 2)
    return _panel("What the right image is worth", figure, "nats a token over a shuffled image", rows, note)


def _accuracy(summary: dict[str, Any]) -> Html | None:
    bars = [
        ("with the image", figures.finite(summary.get("heldout_accuracy")), "strong"),
        ("blind baseline", figures.finite(summary.get("heldout_accuracy_blind")), ""),
    ]
    rows = [_bar(label, value, figures.percent(value), kind) for label, value, kind in bars if value is not None]
    if not rows:
        return None
    note = (
        "Share of the named attributes that the answer gets right; longer is better. Blind: guessed without an image."
    )
    points = gain_over_blind(summary)
    if points is None:
        return _panel("Held-out attributes", "", "", rows, note)
    return _panel("What it sees", figures.signed(points, 0), "points over the blind baseline", rows, note)


def _panel(title: str, figure: str, unit: str, rows: list[Html], note: str) -> Html:
    big = tag("p", tag("strong", figure), " ", unit, class_="big") if figure else ""
    return tag(
        "div", tag("h3", title), big, tag("dl", *rows, class_="bars"), tag("p", note, class_="note"), class_="panel"
    )


def _bar(label: str, share: float, value: str, kind: str) -> Html:
    filled = tag("span", style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%", class_=f"fill {kind}".strip())
    return tag(
        "div", tag("dt", label), tag("dd", tag("span", filled, class_="track", aria_hidden="true"), tag("b", value))
    )


def _tiles(inputs: Inputs) -> list[Html]:
    summary = inputs.summary or {}
    value = {name: figures.finite(summary.get(name)) for name in _KNOWN}
    tiles = []
    first, last = value["loss_first"], value["loss_last"]
    if last is not None:
        start = f"weighted sum over the datasets; it began at {figures.number(first)}" if first is not None else ""
        tiles.append(_tile("Training loss", figures.number(last), "nats", start or "weighted sum over the datasets"))
    trainable, frozen = value["params_trainable"], value["params_frozen"]
    if trainable is not None:
        share = (
            f"{figures.percent(trainable / (trainable + frozen))} of all"
            if frozen and trainable + frozen > 0
            else "learned in this run"
        )
        tiles.append(_tile("Trainable parameters", *figures.amount(trainable), share))
    if frozen is not None:
        tiles.append(
            _tile("Frozen parameters", *figures.amount(frozen), "language model and vision encoder, unchanged")
        )
    if value["tokens_per_second"] is not None:
        tiles.append(
            _tile(
                "Throughput", figures.count(round(value["tokens_per_second"])), "tokens/s", "text tokens, all datasets"
            )
        )
    if value["seconds"] is not None:
        tiles.append(_tile("Time", figures.duration(value["seconds"]), "", "wall clock of the run"))
    if inputs.metrics is not None and inputs.metrics.steps.size:
        resumes = len(inputs.metrics.resumes)
        note = "without a stop" if not resumes else "resumed once" if resumes == 1 else f"resumed {resumes} times"
        tiles.append(_tile("Steps", f"{int(inputs.metrics.steps[-1]):,}", "", note))
    return tiles


def _tile(name: str, figure: str, unit: str, note: str) -> Html:
    shown = tag("span", figure, class_="figure")
    unit_shown = tag("span", unit, class_="unit") if unit else text("")
    return tag("div", tag("dt", name), tag("dd", shown, unit_shown, tag("small", note)), class_="tile")
