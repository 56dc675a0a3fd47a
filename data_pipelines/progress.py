"""Progress bars: shown on a terminal, silent in a log."""

from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def bar(things: Iterable[T], doing: str, unit: str) -> Iterable[T]:
    """The things one by one, with a bar on standard error that says what is being done to them."""
    return tqdm(things, desc=doing, unit=f" {unit}", disable=None)
