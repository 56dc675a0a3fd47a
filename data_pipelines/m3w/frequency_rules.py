"""What stands on too many pages of a corpus to belong to any of them: logos, banners, footers without a footer tag."""

import collections
import dataclasses
from collections.abc import Hashable, Iterable


@dataclasses.dataclass(frozen=True)
class FrequencyRules:
    """A thing is too frequent when it stands on more than this share of the pages and on at least that many."""

    max_page_share: float = dataclasses.field(
        default=0.1, metadata={"help": "drop an image or a paragraph that stands on a greater share of the pages"}
    )
    min_pages: int = dataclasses.field(default=5, metadata={"help": "... and on at least this many of them"})


def too_frequent(pages: Iterable[Iterable[Hashable]], rules: FrequencyRules) -> frozenset:
    """The things that stand on too many pages.

    Args:
      pages: the things on each page; a thing that a page has twice counts once.
      rules: the thresholds.
    """
    counts: collections.Counter = collections.Counter()
    total = 0
    for things in pages:
        counts.update(set(things))
        total += 1
    return frozenset(
        thing for thing, count in counts.items() if count >= rules.min_pages and count > rules.max_page_share * total
    )
