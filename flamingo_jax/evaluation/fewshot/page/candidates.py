"""Ranked candidates with their likelihoods."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, tag


def candidates(ranked: Sequence[Mapping[str, Any]], total: Any) -> Html:
    """A table of the candidates, likeliest first; bars show how likely each is beside the likeliest.

    Args:
      ranked: `text`, `score` (log-likelihood, nats), `rank` and `true` of each.
      total: how many there were.
    """
    scores = [figures.finite(one.get("score")) for one in ranked]
    most = max((score for score in scores if score is not None), default=0.0)
    lines, expected = [], 1
    for one, score in zip(ranked, scores, strict=True):
        rank = one.get("rank")
        if isinstance(rank, int) and rank > expected:
            lines.append(tag("tr", tag("td", "⋯", colspan=4, class_="gap")))
        expected = rank + 1 if isinstance(rank, int) else expected + 1
        share = 0.0 if score is None else math.exp(min(0.0, score - most))
        bar = tag(
            "span", tag("span", style=f"width:{100 * share:.1f}%", class_="fill"), class_="track", aria_hidden="true"
        )
        true = tag("span", " ✓ true", class_="true") if one.get("true") else ""
        lines.append(
            tag(
                "tr",
                tag("td", rank, class_="number"),
                tag("td", tag("bdi", one.get("text")), true),
                tag("td", bar, class_="bar"),
                tag("td", "" if score is None else figures.nats(score), class_="number"),
            )
        )
    told = f"of {total:,}, by log-likelihood in nats" if isinstance(total, int) else "by log-likelihood in nats"
    return tag("table", tag("caption", told), tag("tbody", *lines), class_="candidates")


def short_candidates(ranked: Sequence[Mapping[str, Any]]) -> Html:
    """The likeliest candidate and the rank of the true one, in a line."""
    if not ranked:
        return Html("")
    first = tag("bdi", ranked[0].get("text"))
    ranks = [one.get("rank") for one in ranked if one.get("true")]
    told = f" (the true one is number {min(ranks)})" if ranks and all(isinstance(rank, int) for rank in ranks) else ""
    return tag("span", first, tag("small", told))
