"""How much of an unfinished answer may be shown: what a stop text might still cut off is held back."""

from collections.abc import Sequence
from typing import NamedTuple

_UNFINISHED = "\ufffd"  # what a tokenizer makes of the first bytes of a character


class Shown(NamedTuple):
    """What of an answer may be shown.

    Attributes:
      text: without white space around it; what follows only ever adds to it.
      stopped: whether a stop text ended the answer.
    """

    text: str
    stopped: bool


def shown(answer: str, stops: Sequence[str], ended: bool) -> Shown:
    """What may be shown of an answer of which `answer` is there so far.

    Args:
      stops: texts that end an answer as soon as one of them is complete, and are not part of it.
      ended: whether nothing follows.
    """
    answer = answer.lstrip()
    found = [(place + len(stop), place) for stop in stops if (place := answer.find(stop)) >= 0]
    if found:
        return Shown(answer[: min(found)[1]].rstrip(), stopped=True)
    if not ended:
        answer = answer.rstrip(_UNFINISHED)
        answer = answer[: len(answer) - max((_begun(answer, stop) for stop in stops), default=0)]
    return Shown(answer.rstrip(), stopped=False)


def _begun(answer: str, stop: str) -> int:
    """How many characters at the end of `answer` may be the beginning of `stop`."""
    return next((count for count in range(min(len(stop), len(answer)), 0, -1) if answer.endswith(stop[:count])), 0)
