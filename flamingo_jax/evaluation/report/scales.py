"""From values to pixels: domains, linear and logarithmic scales, ticks at round values and their labels."""

import dataclasses
import math

import numpy as np

from flamingo_jax.html import figures


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps the interval `domain` to `pixels` (either may run backwards), linearly or, with `log`, by its logarithm."""

    domain: tuple[float, float]
    pixels: tuple[float, float]
    log: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        """Pixels of `values`, same shape; NaN where a value is NaN, or not positive on a logarithmic scale."""
        values = np.asarray(values, float)
        low, high = self.domain
        if self.log:
            values = np.log10(np.where(values > 0, values, np.nan))
            low, high = math.log10(low), math.log10(high)
        start, end = self.pixels
        return start + (values - low) / (high - low) * (end - start)

    def ticks(self, wanted: int) -> list[tuple[float, str]]:
        """About `wanted` (value, label) pairs inside the domain, at round values."""
        low, high = min(self.domain), max(self.domain)
        if self.log:
            values = _log_ticks(low, high, wanted)
            if len(values) >= 2:
                return [(value, _label(value, value, value)) for value in values]
        step = nice_step((high - low) / max(wanted, 1))
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        largest = max(abs(first), abs(last)) * step
        return [(index * step, _label(index * step, step, largest)) for index in range(first, last + 1)]


def nice_step(rough: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `rough` (a positive number)."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def domain_of(
    values: np.ndarray, *, log: bool = False, zero: bool = False, robust: bool = False
) -> tuple[float, float]:
    """An interval that shows `values` with a little air.

    Args:
      values: any shape; what is not finite does not count (nor what is not positive, with `log`).
      log: for a logarithmic scale.
      zero: the interval holds 0.
      robust: what is not `typical` may lie outside.
    """
    values = values[np.isfinite(values)]
    if log:
        values = values[values > 0]
    if values.size == 0:
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if robust:
        inside = values[typical(values)]
        low, high = float(inside.min()), float(inside.max())
    if log:
        margin = max((high / low) ** 0.04, 1.05)
        return low / margin, high * margin
    if zero or (low > 0 and low < 0.3 * high):
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9 * abs(high):
        low = high  # rounding, not a range
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return (low if low == 0 else low - margin), (high if high == 0 > low else high + margin)


def typical(values: np.ndarray) -> np.ndarray:
    """Which finite `values` are no far outliers: within 6 interquartile ranges of the quartiles.

    A first step that compiles takes a hundred times as long as the others: shown in full, they would be a flat line.
    In a short series, and where more than 1 % (and more than 3) would be outliers, all are typical: a norm that falls
    from 30 to 0.3 is no accident.
    """
    finite = values[np.isfinite(values)]
    if finite.size < 8:
        return np.isfinite(values)
    lower, upper = np.quantile(finite, [0.25, 0.75])
    reach = 6 * max(upper - lower, 0.02 * abs(upper))
    inside = (values >= lower - reach) & (values <= upper + reach)
    return inside if finite.size - inside.sum() <= max(3, 0.01 * finite.size) else np.isfinite(values)


def _log_ticks(low: float, high: float, wanted: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        values = [factor * 10.0**power for power in decades for factor in factors]
        values = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(values) <= wanted + 1:
            return values
    return values[:: math.ceil(len(values) / wanted)]


def _label(value: float, step: float, largest: float) -> str:
    """`largest` decides for all labels of an axis whether they are written with a power of ten."""
    size = max(abs(value), abs(step))
    if abs(value) < 1e-9 * abs(step):
        return "0"
    if largest >= 1e9 or largest < 0.005:
        return figures.scientific(value)
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if size >= unit and step >= unit / 1000:
            return f"{value / unit:.6g}{name}".replace("-", "−")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
        decimals += 1  # a step of 2.5 units needs one digit more
    return f"{value:,.{decimals}f}".replace("-", "−")
