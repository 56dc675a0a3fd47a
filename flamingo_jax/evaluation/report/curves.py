"""Series of values as SVG paths: smoothing, thinning, gaps."""

import numpy as np

_MAX_POINTS = 1200  # more than one point per pixel of the widest chart shows nothing new


def smooth(values: np.ndarray, sigma: float, counted: np.ndarray | None = None) -> np.ndarray:
    """A Gaussian average over neighbours, float [n] -> float [n]; `sigma` in places.

    NaN stays NaN and weighs nothing. Where `counted` (bool [n]) is False, a value does not enter the averages either.
    """
    shown = np.isfinite(values)
    present = shown if counted is None else shown & counted
    reach = max(1, min(int(3 * sigma), len(values) - 1))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    total = np.convolve(np.where(present, values, 0.0), kernel)[reach : reach + len(values)]
    weight = np.convolve(present.astype(float), kernel)[reach : reach + len(values)]
    known = shown & (weight > 1e-12)
    return np.where(known, total / np.where(known, weight, 1.0), np.nan)


def thin(values: np.ndarray, limit: int = _MAX_POINTS) -> np.ndarray:
    """Indices, ascending, of at most about `limit` values that keep the look of the line.

    Every stretch keeps its ends, its extremes, and a gap if it has one.
    """
    size = len(values)
    if size <= limit:
        return np.arange(size)
    kept = {0, size - 1}
    for stretch in np.array_split(np.arange(size), limit // 4):
        here = values[stretch]
        missing = ~np.isfinite(here)
        kept.add(int(stretch[0]))
        if missing.any():
            kept.add(int(stretch[np.argmax(missing)]))
        if not missing.all():
            kept.update((int(stretch[np.nanargmin(here)]), int(stretch[np.nanargmax(here)])))
    return np.array(sorted(kept))


def path(x: np.ndarray, y: np.ndarray) -> str:
    """The `d` of an SVG path through the points; a point that is not finite leaves a gap, one between gaps is a dot."""
    commands: list[str] = []
    drawing = False
    for index, (across, down) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        here = np.isfinite(across) and np.isfinite(down)
        if here:
            commands.append(f"{'L' if drawing else 'M'}{across:.1f} {down:.1f}")
            alone = not drawing and (index + 1 == len(y) or not np.isfinite(y[index + 1]))
            if alone:
                commands.append("h0")  # round line caps make a dot of it
        drawing = here
    return "".join(commands)


def spread(wanted: list[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near `wanted`, in the same order, at least `gap` apart and inside [low, high] where they fit."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    placed: list[float] = []
    for index in order:
        placed.append(max(wanted[index], placed[-1] + gap if placed else low))
    limit = high
    for place in range(len(placed) - 1, -1, -1):
        placed[place] = min(placed[place], limit)
        limit = placed[place] - gap
    result = [0.0] * len(wanted)
    for index, position in zip(order, placed, strict=True):
        result[index] = position
    return result
