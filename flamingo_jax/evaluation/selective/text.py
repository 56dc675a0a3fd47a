"""What a rule does, as text for the terminal."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.evaluation.confidence.rule import AbstentionRule
from flamingo_jax.evaluation.selective.held_out import RULE
from flamingo_jax.evaluation.selective.page import verdict


def dev_line(rule: AbstentionRule) -> str:
    """What the rule promises, and by how many questions."""
    if rule.threshold is None:
        return (
            f"no threshold holds a risk of {rule.risk:.1%} with probability {1 - rule.delta:.0%} on DEV: the rule says "
            "that it does not know whatever is asked. Name a higher --risk, or ask more DEV questions."
        )
    return (
        f"risk at most {rule.risk:.1%} with probability {1 - rule.delta:.0%}: confidence from {rule.threshold:.3f} "
        f"on, which answers {rule.dev['coverage']:.1%} of {rule.dev['tested']} DEV questions ({rule.dev['risk']:.1%} "
        f"wrong, at most {rule.dev['upper_bound']:.1%})"
    )


def table(rule: AbstentionRule, found: Mapping[str, Any]) -> str:
    """The figures on the held-out questions, with 95% intervals."""
    by_name = {each["name"]: each for each in found["measures"]}
    rows = [
        ("risk named", f"{rule.risk:.1%}"),
        ("risk held out", "nothing is answered" if found["risk"] is None else _percent(found["risk"])),
        ("coverage", _percent(found["answered"])),
        ("risk of all answers", f"{found['loss']:.1%}"),
        ("AURC, rule", _area(by_name[RULE]["aurc"])),
    ]
    if (alone := by_name.get("likelihood")) is not None:
        rows.append(("AURC, likelihood alone", _area(alone["aurc"])))
        rows.append(("AURC, rule minus likelihood (paired)", _area(alone["first_minus_this"])))
    rows.append(("expected calibration error", _area(found["calibration"]["error"])))
    width = max(len(name) for name, _ in rows)
    return "\n".join([verdict(rule, found), *(f"  {name:<{width}}  {value}" for name, value in rows)])


def _percent(share: Mapping[str, float]) -> str:
    return f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})"


def _area(value: Mapping[str, float]) -> str:
    return f"{value['value']:.4f} ({value['low']:.4f} to {value['high']:.4f})"
