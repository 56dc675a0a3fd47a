"""The page of an abstention rule: what it holds, what it answers, and how well it orders the answers."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.fewshot.page.style import style_sheet
from flamingo_jax.evaluation.report.figure import figure
from flamingo_jax.evaluation.selective.drawing import reliability_chart, risk_chart
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, absent, section, table, tag
from flamingo_jax.html.page import page

_BEST = "best possible"
_STYLE = """
.here{fill:none;stroke:var(--ink);stroke-width:2.5}.diagonal{stroke:var(--axis);stroke-dasharray:4 4}
.bin{fill:var(--accent);fill-opacity:.6;stroke:var(--accent)}.gap line{stroke:var(--bad);stroke-width:1.5}
.plot{overflow:hidden}.narrow{max-width:460px}.narrow .drawing{min-width:0}
figcaption b{color:var(--ink);margin-right:8px}
"""


def render(rule: AbstentionRule, found: Mapping[str, Any], title: str) -> str:
    """The text of an HTML file.

    Args:
      found: see `held_out`.
      title: of what was asked.
    """
    links = (("curve", "Risk and coverage"), ("signals", "Signals"), ("calibration", "Calibration"), ("kinds", "Kinds"))
    body = [
        tag("a", "Skip to the figures", href="#curve", class_="skip"),
        tag(
            "header",
            tag("p", "Flamingo abstention", class_="eyebrow"),
            tag("h1", title, tag("span", f"step {rule.step:,}")),
            tag("p", verdict(rule, found), class_="verdict"),
            tag("nav", *(tag("a", label, href=f"#{anchor}") for anchor, label in links), aria_label="Contents"),
            class_="top",
        ),
        tag("main", _curve(rule, found), _signals(rule, found), _calibration(found), _kinds(found)),
        tag("footer", "Written by flamingo-jax. This file stands alone: it loads nothing."),
    ]
    return page(f"{title} · abstention", style_sheet() + _STYLE.replace("\n", ""), *body)


def verdict(rule: AbstentionRule, found: Mapping[str, Any]) -> str:
    """What the rule does on the held-out questions, in two sentences."""
    if rule.threshold is None:
        return (
            f"No threshold holds a risk of {figures.percent(rule.risk)} with a confidence of "
            f"{figures.percent(1 - rule.delta)} on DEV, so the rule answers nothing. Name a higher risk, or ask more "
            "DEV questions."
        )
    if found["risk"] is None:
        return "The rule answers none of the held-out questions."
    return (
        f"The rule answers {_percent(found['answered'])} of {found['answers']:,} held-out questions, and "
        f"{_percent(found['risk'])} of these answers are wrong. {_held(rule, found['risk'])}. Of answers to all "
        f"questions {figures.percent(found['loss'])} would be."
    )


def _held(rule: AbstentionRule, risk: Mapping[str, float]) -> str:
    named = f"the risk named, {figures.percent(rule.risk)}"
    if risk["value"] <= rule.risk:
        return f"That holds {named}"
    if risk["low"] <= rule.risk:
        return f"That is above {named}, which lies within the interval"
    return f"That does not hold {named}"


def _curve(rule: AbstentionRule, found: Mapping[str, Any]) -> Html:
    lines = {each["name"]: each["risks"] for each in found["measures"]} | {_BEST: found["best_risks"]}
    at = None if found["risk"] is None else (found["answered"]["value"], found["risk"]["value"])
    lead = (
        "From the left: the surest answer alone, then more and more of them. The ring is the rule with its threshold, "
        "the dotted line the risk named."
    )
    chart = tag("div", risk_chart(lines, rule.risk, at), class_="scroll")
    return section("curve", "Risk and coverage", chart, lead=lead)


def _signals(rule: AbstentionRule, found: Mapping[str, Any]) -> Html:
    weights = dict(zip(rule.signals, rule.weights, strict=True))
    weights["likelihood"] = weights.get("certainty", weights.get("likelihood", 0.0))  # the same order
    rows = []
    for each in found["measures"]:
        less = each["first_minus_this"]
        rows.append(
            (
                each["name"].replace("_", " "),
                _area(each["aurc"]),
                f"{100 * each['excess_aurc']:.1f}",
                "" if less is None else _area(less, signed=True),
                figures.signed(weights[each["name"]], 2) if each["name"] in weights else "",
            )
        )
    header = ("ordered by", "AURC × 100", "above the best", "rule minus this", "weight in the rule")
    lead = (
        "The area below the risk-coverage curve, less is better, with 95% bootstrap intervals; differences are of the "
        "same resamples. Weights are of standardized signals."
    )
    return section("signals", "Signals", table(header, rows, caption="areas on the held-out questions"), lead=lead)


def _calibration(found: Mapping[str, Any]) -> Html:
    calibration = found["calibration"]
    error = calibration["error"]
    subtitle = f"expected calibration error {_area(error)} points"
    chart = figure("Accuracy by confidence", subtitle, reliability_chart(calibration["bins"]), class_="narrow")
    lead = "Dots on the diagonal: the rule is as sure as it is right."
    return section("calibration", "Calibration", chart, lead=lead)


def _kinds(found: Mapping[str, Any]) -> Html:
    if not found["kinds"]:
        return section("kinds", "Kinds of questions", absent("The benchmark does not tell kinds apart."))
    rows = [
        (
            kind,
            f"{each['answers']:,}",
            figures.percent(each["loss"]),
            figures.percent(each["answered"]),
            "" if each["risk"] is None else figures.percent(each["risk"]),
        )
        for kind, each in found["kinds"].items()
    ]
    header = ("kind", "questions", "wrong if all are answered", "answered", "of these wrong")
    return section("kinds", "Kinds of questions", table(header, rows, caption="held-out questions"))


def _percent(share: Mapping[str, float]) -> str:
    return f"{figures.percent(share['value'])} ({figures.percent(share['low'])} to {figures.percent(share['high'])})"


def _area(value: Mapping[str, float], signed: bool = False) -> str:
    shown = [100 * value[name] for name in ("low", "value", "high")]
    low, middle, high = (figures.signed(each, 1) if signed else f"{each:.1f}" for each in shown)
    return f"{middle} ({low} to {high})"
