"""What can be read off a row's arrays: where its tags stand, how long its texts are, which way its tokens look."""

import numpy as np
from jaxtyping import Int

from flamingo_jax.data.example import Example
from flamingo_jax.data.tokenizer import Tokenizer

PREVIOUS, NEXT = "previous", "next"


def tag_starts(example: Example, tokenizer: Tokenizer) -> Int[np.ndarray, " tags"]:
    """The positions at which a whole tag of an image begins, padding left out."""
    tag = np.asarray(tokenizer.image_tag_ids)
    used = example.tokens[: np.count_nonzero(example.segment_ids)]
    if len(used) < len(tag):
        return np.zeros(0, int)
    windows = np.lib.stride_tricks.sliding_window_view(used, len(tag))
    return np.flatnonzero((windows == tag).all(axis=1))


def text_lengths(example: Example, tokenizer: Tokenizer) -> list[int]:
    """For each tag, the tokens after it up to the next `<EOC>` (left out), the next tag or the end of its segment."""
    starts, lengths = tag_starts(example, tokenizer), []
    for start in starts:
        first = start + len(tokenizer.image_tag_ids)
        same = np.flatnonzero(example.segment_ids == example.segment_ids[start])
        ends = np.flatnonzero(example.tokens[first:] == tokenizer.eoc_id)[:1] + first
        stop = min([same[-1] + 1, *ends, *starts[starts > start][:1]])
        lengths.append(int(max(0, stop - first)))
    return lengths


def direction(example: Example, tokenizer: Tokenizer) -> str | None:
    """Whether the tokens see the previous image or the next one; None where the row does not show it.

    Where the image changes within a segment, a tag begins there (previous) or has just ended (next).
    """
    starts = set(tag_starts(example, tokenizer).tolist())
    same = example.segment_ids[1:] == example.segment_ids[:-1]
    changes = np.flatnonzero(same & (example.image_index[1:] != example.image_index[:-1])) + 1
    for place in changes.tolist():
        if place in starts:
            return PREVIOUS
        if place - len(tokenizer.image_tag_ids) in starts:
            return NEXT
    return None
