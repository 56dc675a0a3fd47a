"""Sizes are filled up to a few, so that a few compiled programs serve prompts of all lengths."""

from collections.abc import Sequence

_SHORTEST = 32  # no program for prompts of fewer tokens than these


def bucket(size: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24, ...: powers of 2, and those times 1.5. At most a third is filling, but
    for sizes of 1 to 3, where nothing is."""
    power = 1 << max(0, (size - 1).bit_length())
    return power // 4 * 3 if power >= 4 and size <= power // 4 * 3 else power


def prompt_length(tokens: int) -> int:
    """Slots for a prompt of so many tokens: a `bucket` of at least 32."""
    return max(_SHORTEST, bucket(tokens))


def image_places(images: int) -> int:
    """Places for the images of a prompt: 0, or 1 and a `bucket` of others.

    Few-shot prompts have one image more than shots, so nothing is filled at 4, 8, 16 and 32 shots: 5, 9, 17, 33.
    """
    return images if images < 2 else 1 + bucket(images - 1)


def batch_rows(rows: int, most: int, parts: int = 1) -> int:
    """Rows of the batch that takes some or all of `rows` prompts: `parts`, which share the batch, times a power of 2,
    and no more than `most` where `parts` divides it."""
    largest = max(1, most // parts)
    return parts * min(largest, 1 << max(0, (-(-rows // parts) - 1).bit_length()))


def chunks(sizes: Sequence[tuple[int, ...]], most: int) -> list[list[int]]:
    """Places of `sizes` in chunks of at most `most`, equal sizes next to each other, so that most chunks are of one."""
    order = sorted(range(len(sizes)), key=lambda place: sizes[place])
    return [order[start : start + most] for start in range(0, len(order), most)]
