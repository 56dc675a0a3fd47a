"""The same picture again: twice on one page, or on so many pages that it belongs to none of them.

Copies across a corpus are counted by a scheme of buckets, as for pages (`page_duplicates`): a picture
goes by the name of its `representative`, the smallest that it is `same` as among the smallest of its buckets, and pages
are counted by that name.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterable, Sequence

from flamingo_jax.data.duplicates import COPIES, Fingerprint, FingerprintIndex, Likeness, alike, distance

_HASH_BITS = 64
_MOST_BITS = 4  # 70 buckets a picture; 5 would take 252
_UNMIRRORED = dataclasses.replace(COPIES, mirrored=False)  # left and right arrows differ


@dataclasses.dataclass(frozen=True)
class ImageDuplicates:
    """When a picture counts as seen before, and how often it may be seen.

    Attributes:
      max_pages: drop a picture that stands on more pages than this; 10 is OBELICS' figure (Laurençon et al. 2023,
        appendix A.1.5).
      max_distance: in how many bits the hashes of one picture may differ from page to page, 0 to 4. Each value has its
        number of buckets, for 32 bits must agree in one: 1, 2, 6, 20 or 70. Hashes of 64 bits of which 32 are set (as
        nearly all of pHash are) differ in an even number, so 1 finds no more than 0, and 3 no more than 2. At 2, 92 to
        98% of recompressed and resized copies are found.
      on_page: how alike two pictures on one page are of which the second is dropped.
    """

    max_pages: int = 10
    max_distance: int = 2
    on_page: Likeness = _UNMIRRORED

    def __post_init__(self):
        if self.max_pages < 1:
            raise ValueError(f"ImageDuplicates.max_pages must be at least 1, got {self.max_pages}")
        if not 0 <= self.max_distance <= _MOST_BITS:
            raise ValueError(
                f"ImageDuplicates.max_distance must lie in [0, {_MOST_BITS}], got {self.max_distance}: "
                "more would need hundreds of buckets for each picture"
            )


def repeated(pictures: Sequence[Fingerprint], config: ImageDuplicates) -> tuple[bool, ...]:
    """For each picture of a page, in order, whether it shows what an earlier one shows that is kept."""
    found = FingerprintIndex(pictures).near(pictures, config.on_page)
    earlier: list[list[int]] = [[] for _ in pictures]
    for query, index in zip(found.query.tolist(), found.index.tolist(), strict=True):
        if index < query:
            earlier[query].append(index)
    is_repeated: list[bool] = []
    for candidates in earlier:
        is_repeated.append(any(not is_repeated[index] for index in candidates))
    return tuple(is_repeated)


def buckets(picture: Fingerprint, config: ImageDuplicates) -> tuple[tuple[int, int], ...]:
    """The keys of the buckets in which pictures at no more than `max_distance` bits meet.

    Of 2 d blocks of bits, d differing bits leave d blocks as they are, so two such pictures agree in one of the choices
    of d blocks: 32 bits, more or less. Mirror images do not meet.
    """
    masks = _masks(config.max_distance)
    return tuple((choice, picture.hash & mask) for choice, mask in enumerate(masks))


def same(one: Fingerprint, other: Fingerprint, config: ImageDuplicates) -> bool:
    """Whether two pictures of a bucket are copies of each other."""
    return one.digest == other.digest or (
        distance(one, other, mirrored=False) <= config.max_distance and alike(one, other, _UNMIRRORED)
    )


def representative(picture: Fingerprint, smallest: Iterable[Fingerprint], config: ImageDuplicates) -> Fingerprint:
    """The picture that this one is counted as.

    Args:
      picture: any picture.
      smallest: the smallest of each of its buckets, in the order of fingerprints.
      config: what counts as the same.

    Returns:
      The smallest of those that are `same` as the picture, or the picture.
    """
    return min([picture, *(one for one in smallest if same(picture, one, config))])


def too_many_pages(pages: int, config: ImageDuplicates) -> bool:
    """Whether a picture stands on too many pages."""
    return pages > config.max_pages


@functools.cache
def _masks(max_distance: int) -> tuple[int, ...]:
    if not max_distance:
        return ((1 << _HASH_BITS) - 1,)
    edges = [_HASH_BITS * block // (2 * max_distance) for block in range(2 * max_distance + 1)]
    blocks = [(1 << high) - (1 << low) for low, high in itertools.pairwise(edges)]
    return tuple(sum(chosen) for chosen in itertools.combinations(blocks, max_distance))
