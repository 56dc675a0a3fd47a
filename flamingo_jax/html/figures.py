"""Figures as people read them: units, thousands, significant digits. The minus sign is the typographic one."""

import math
from typing import Any


def finite(value: Any) -> float | None:
    """`value` as a float if it is a finite number; None for anything else (a bool, a string, NaN, null).

    Beyond 1e300, where differences overflow, a number counts as infinite; below 1e-300 it is 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if not math.isfinite(number) or abs(number) > 1e300:
        return None
    return number if abs(number) > 1e-300 else 0.0


def number(value: float, digits: int = 3) -> str:
    """`value` with `digits` significant digits: 0.0312, 3.21, 1,234, 2.5e−5."""
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3 or size >= 1e7:
        return scientific(value, digits)
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    return _minus(f"{value:,.{decimals}f}")


def scientific(value: float, digits: int = 3) -> str:
    """With a power of ten, and no more digits than needed: 2.5e−5."""
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return _minus(f"{mantissa}e{int(exponent)}")


def count(value: float) -> str:
    """A whole number with thousands apart: 12,345; a fraction keeps its digits."""
    return _minus(f"{int(value):,}") if float(value).is_integer() else number(value)


def amount(value: float) -> tuple[str, str]:
    """A large count as (figure, unit): ("29.6", "million")."""
    for size, unit in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if abs(value) >= size:
            return number(value / size), unit
    return count(value), ""


def percent(fraction: float) -> str:
    """A fraction as percent: 0.912 -> "91%"; below 10% with one decimal."""
    value = 100 * fraction
    return _minus(f"{value:.1f}%" if 0 < abs(value) < 9.95 else f"{value:.0f}%")


def nats(value: float) -> str:
    """A log-likelihood, with two decimals whatever its size, so that a column of them compares at a glance."""
    return _minus(f"{value:.2f}")


def signed(value: float, decimals: int) -> str:
    """With its sign, so that a gain and a loss cannot be mistaken: "+0.87", "−0.02"."""
    return _minus(f"{value:+.{decimals}f}")


def duration(seconds: float) -> str:
    """A time as its two largest units: "9 min 12 s", "2 h 5 min", "3 d 4 h"; below a minute "8.4 s"."""
    if seconds < 60:
        return f"{number(seconds, 2)} s"
    whole = round(seconds)
    for size, unit, smaller, small_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def shorten(name: str, most: int) -> str:
    """`name`, cut to `most` characters with an ellipsis where there is little room."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _minus(figure: str) -> str:
    return figure.replace("-", "−")
