"""Values of JSON records and table cells to text."""

import re
from typing import Any

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can spell them, UTF-8 cannot


def clean(text: str) -> str:
    """The text without surrounding white space and byte-order marks; what UTF-8 cannot hold becomes U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text).strip().strip("\ufeff").strip()


def check(value: Any, what: str) -> tuple[str, str]:
    """The text that a value holds.

    Args:
      value: of any type.
      what: how the rules name it, such as "caption".

    Returns:
      (the cleaned text, "") or ("", the rule that refuses the value: `*_null`, `*_not_a_string` or `*_empty`).
    """
    if value is None:
        return "", f"{what}_null"
    if not isinstance(value, str):
        return "", f"{what}_not_a_string"
    text = clean(value)
    return text, "" if text else f"{what}_empty"
