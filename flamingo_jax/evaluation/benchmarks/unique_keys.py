"""Keys for items of releases in which a number or name comes more than once."""

from collections import Counter
from collections.abc import Sequence


def unique_keys(names: Sequence[str]) -> list[str]:
    """The names, the second of a kind as "name#2", the third as "name#3".

    The official figures count repeated records as often as they come, so none is left out.
    """
    seen: Counter[str] = Counter()
    keys = []
    for name in names:
        seen[name] += 1
        keys.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return keys
