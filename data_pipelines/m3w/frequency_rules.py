"""What stands on too many pages of a corpus to belong to any of them: logos, banners, footers without a footer tag."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class FrequencyRules:
    """A thing is too frequent when it stands on more than this share of the pages and on at least that many.

    Attributes:
      max_page_share: drop an image or a paragraph that stands on a greater share of the pages ...
      min_pages: ... and on at least this many of them.
    """

    max_page_share: float = 0.1
    min_pages: int = 5

    def too_many(self, pages: int, total: int) -> bool:
        """Whether a thing on `pages` of `total` pages is too frequent."""
        return pages >= self.min_pages and pages > self.max_page_share * total
