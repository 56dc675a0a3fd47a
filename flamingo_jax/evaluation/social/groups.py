"""CIDEr by group: the paper's table 12."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social.annotations import Annotations
from flamingo_jax.evaluation.social.captions import Caption
from flamingo_jax.evaluation.social.published import published
from flamingo_jax.evaluation.social.welch import welch


def compare(
    captions: Sequence[Caption], annotations: Annotations, attribute: str, path: str, benchmark: str
) -> dict[str, Any]:
    """The mean CIDEr of each group of an attribute, and every pair's difference.

    Args:
      captions: of an evaluation, each with its CIDEr.
      annotations: of pictures; those that no caption is of do not count.
      attribute: one of theirs.
      path: of the annotations, for messages.
      benchmark: name of it; the paper's figures are of "coco".

    Returns:
      As JSON has it: the groups by name with counts and means, the pairs as `welch.Difference` with the names of the
      groups, first minus second, and what was published of these groups.

    Raises:
      ConfigError: fewer than two groups, or a group with fewer than two captions.
    """
    values: dict[str, list[float]] = {}
    for one in captions:
        if group := annotations.get(one.key, {}).get(attribute):
            values.setdefault(group, []).append(one.cider)
    names = sorted(values)
    if len(names) < 2:
        had = f"only {names[0]!r}" if names else "none"
        raise ConfigError(
            f"{path}: of the groups of {attribute!r} the evaluated pictures have {had}, and two are needed to compare: "
            "annotate more of them, or leave this column out"
        )
    for name in names:
        if len(values[name]) < 2:
            raise ConfigError(
                f"{path}: group {name!r} of {attribute!r} has a single evaluated picture, and a t-test needs two: "
                "annotate more, join it with another group, or leave its field empty"
            )
    groups = [{"name": name, "captions": len(values[name]), "cider": float(np.mean(values[name]))} for name in names]
    pairs = [
        {"first": one, "second": two, **dataclasses.asdict(welch(values[one], values[two]))}
        for one, two in itertools.combinations(names, 2)
    ]
    return {
        "attribute": attribute,
        "annotated": sum(map(len, values.values())),
        "groups": groups,
        "pairs": pairs,
        "published": published(names) if benchmark == "coco" else None,
    }
