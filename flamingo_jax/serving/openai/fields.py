"""Fields of a request's JSON by their kinds; null counts as not given."""

from typing import Any

from flamingo_jax.serving.openai.errors import invalid, quoted


def flag(body: dict[str, Any], name: str) -> bool:
    """A field that is true or false; false where it is not given. Raises ApiError if it is of another kind."""
    value = body.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid(f"{name} is {quoted(value)}: it is true or false", name)


def whole(body: dict[str, Any], name: str, low: int, high: int) -> int | None:
    """A whole number; None where it is not given. Raises ApiError if it is of another kind or out of range."""
    value = body.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and low <= value <= high):
        return value
    raise invalid(f"{name} is {quoted(value)}: it is a whole number from {low} to {high}", name)


def number(body: dict[str, Any], name: str, low: float, high: float, default: float) -> float:
    """A number; `default` where it is not given. Raises ApiError if it is of another kind or out of range."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:  # no NaN is
        return float(value)
    raise invalid(f"{name} is {quoted(value)}: it is a number from {low} to {high}", name)
