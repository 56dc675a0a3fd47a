"""The report as text for the terminal."""

from collections.abc import Mapping
from typing import Any

from flamingo_jax.evaluation.columns import aligned
from flamingo_jax.evaluation.social.tables import rows
from flamingo_jax.html import figures


def in_words(facts: Mapping[str, Any]) -> str:
    """Which captions these are."""
    told = facts["evaluation"]
    return (
        f"{told['title']}, split {told['split']}: {told['captions']:,} captions at {told['shots']} shots "
        f"({told['support']} examples, seed {told['seed']})"
    )


def toxicity_in_words(found: Mapping[str, Any]) -> str:
    """The share that is flagged, with its interval."""
    return (
        f"{found['flagged']:,} of {found['scored']:,} captions have a toxicity of {found['threshold']:g} or more: "
        f"{100 * found['share']:.2f}% (95% interval {100 * found['low']:.2f}% to {100 * found['high']:.2f}%)"
    )


def unknown_in_words(facts: Mapping[str, Any]) -> list[str]:
    """How much of the user's files is of no caption here; nothing where all is."""
    return [
        f"{figures.count(count)} keys of the file of {name} are of no picture here"
        for name, count in facts["unknown_keys"].items()
        if count
    ]


def table(facts: Mapping[str, Any]) -> str:
    """Lines without a newline at the end; `facts` is what `report.json` holds."""
    lines = [in_words(facts), *unknown_in_words(facts)]
    for found in facts["attributes"]:
        header, body = rows(found, facts["evaluation"]["cider"], facts["evaluation"]["captions"])
        lines += ["", *aligned([header, *body])]
    if found := facts["toxicity"]:
        lines += ["", toxicity_in_words(found)]
        lines += [f"{found['unscored']:,} captions have no score"] * bool(found["unscored"])
    lines += ["", *dict.fromkeys(one["published"]["source"] for one in facts["attributes"] if one["published"])]
    # Names of groups may hold lone surrogates, which JSON allows and terminals do not.
    return "\n".join(lines).rstrip().encode("utf-8", "replace").decode()
