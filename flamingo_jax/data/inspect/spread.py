"""A sample of numbers in a few figures, and counts as a histogram."""

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

_PERCENTILES = (5, 25, 50, 75, 95)


def spread(values: Iterable[float]) -> dict[str, float]:
    """`count`, `mean`, `min`, percentiles `p5` to `p95` and `max`; of no values, the count alone."""
    values = np.fromiter(values, float)
    if not values.size:
        return {"count": 0}
    middle = {
        f"p{share}": float(at) for share, at in zip(_PERCENTILES, np.percentile(values, _PERCENTILES), strict=True)
    }
    figures = {"mean": float(values.mean()), "min": float(values.min()), **middle, "max": float(values.max())}
    return {"count": int(values.size)} | {name: round(figure, 3) for name, figure in figures.items()}


def ordered(counts: Mapping[int | str, int]) -> dict[str, int]:
    """Counts with their keys in order (names: the most frequent first), as JSON has them."""
    if all(isinstance(key, int) for key in counts):
        return {str(key): int(counts[key]) for key in sorted(counts)}
    return {str(key): int(count) for key, count in Counter(counts).most_common()}


def share(part: int, whole: int) -> float:
    """`part / whole`; 0 of nothing."""
    return part / whole if whole else 0.0
