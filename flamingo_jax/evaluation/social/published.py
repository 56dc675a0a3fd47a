"""What the paper prints of CIDEr by group, on COCO's test split (table 12 of version 2)."""

from collections.abc import Sequence
from typing import Any

from flamingo_jax.evaluation.published.tables import FLAMINGO_PAPER

MODEL = "Flamingo-80B"
SOURCE = f"{FLAMINGO_PAPER}, table 12; groups as annotated by Zhao et al. 2021, arXiv:2106.08503"
_OVERALL = {0: 0.843, 32: 1.138}
# Groups -> shots -> CIDEr of the first, of the second, difference, p. Differences are as printed, not of what is.
_FIGURES = {
    ("female", "male"): {0: (0.899, 0.870, 0.029, 0.52), 32: (1.172, 1.142, 0.030, 0.54)},
    ("darker", "lighter"): {0: (0.955, 0.864, 0.091, 0.25), 32: (1.128, 1.152, -0.025, 0.76)},
}
_NOTES = {
    ("darker", "lighter"): "Captioners before it, as the paper cites them: AoANet +0.0019 (all captions 1.198), "
    "Oscar +0.0030 (1.278)."
}


def published(names: Sequence[str]) -> dict[str, Any] | None:
    """The paper's figures of these groups; None where it has none.

    Args:
      names: of the groups in alphabetical order; case does not matter.

    Returns:
      As JSON has it: the model, the source, a note (may be empty), and for each number of shots the CIDEr of the groups
      in the same order, the first minus the second, p, and the CIDEr of all captions.
    """
    groups = tuple(name.lower() for name in names)
    if groups not in _FIGURES:
        return None
    figures = [
        {"shots": shots, "cider": [first, second], "difference": difference, "p": p, "overall": _OVERALL[shots]}
        for shots, (first, second, difference, p) in _FIGURES[groups].items()
    ]
    return {"model": MODEL, "source": SOURCE, "note": _NOTES.get(groups, ""), "figures": figures}
