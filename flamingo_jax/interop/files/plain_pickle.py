"""An unpickler for files of weights: what is not needed there is not read."""

import pickle
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, ClassVar

_PLAIN = (str, int, float, type(None))


class PlainUnpickler(pickle._Unpickler):
    """Refuses sets, and dicts with other keys than strings, numbers and tuples of these, with a ValueError.

    A tuple of tuples that share their parts takes exponential time to hash, and a file of a few hundred bytes can hold
    one. The base is the unpickler written in Python, not the one in C: that one allocates gigabytes when a damaged byte
    makes a large index, and the pickles here are small.
    """

    def load_setitem(self) -> None:
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        check_keys(self.stack[::2])  # what follows the mark
        super().load_setitems()

    def load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def refuse(self) -> None:
        """For operations that no file of weights needs."""
        raise ValueError("a set, which no file of weights holds")

    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
        pickle.EMPTY_SET[0]: refuse,
        pickle.ADDITEMS[0]: refuse,
        pickle.FROZENSET[0]: refuse,
    }


def ordered_dict(pairs: Iterable[Any] = ()) -> OrderedDict:
    """`OrderedDict` of plain keys, as pickles call it."""
    pairs = [tuple(pair) for pair in pairs]
    check_keys(key for key, _ in pairs)
    return OrderedDict(pairs)


def check_keys(keys: Iterable[Any]) -> None:
    """Raises ValueError if one is no string or number, nor a tuple of these."""
    for key in keys:
        if not all(isinstance(part, _PLAIN) for part in (key if type(key) is tuple else (key,))):
            raise ValueError(f"a {type(key).__name__} for a key of a dict, which no file of weights holds")
