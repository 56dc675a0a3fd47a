"""Counts of unusable records, and when there are too many."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int32

from flamingo_jax.data.errors import SkipRateError


class SkipMonitor:
    """Counts unusable records by dataset and says when there are too many.

    Attributes:
      used: documents that went into rows, by dataset.
      skipped: records that were replaced, by dataset.
    """

    _AFTER = 1000

    def __init__(self, max_rate: float, documents_per_row: Mapping[str, int] | None = None):
        """
        Args:
          documents_per_row: by dataset; 1 where it is not named.
        """
        self.max_rate = max_rate
        self._per_row = documents_per_row or {}
        self.used: dict[str, int] = {}
        self.skipped: dict[str, int] = {}

    def add(self, name: str, skipped: Int32[np.ndarray, " rows"]) -> None:
        """Counts the rows of a batch, each with the number of records that were replaced to fill it.

        Raises:
          SkipRateError: among the records that were met so far, too large a share was unusable.
        """
        used = self.used[name] = self.used.get(name, 0) + len(skipped) * self._per_row.get(name, 1)
        lost = self.skipped[name] = self.skipped.get(name, 0) + int(skipped.sum())
        if used >= self._AFTER and lost > self.max_rate * (used + lost):
            raise SkipRateError(
                f"dataset {name!r}: {lost} of {used + lost} records were unusable, more than max_skip_rate ="
                f" {self.max_rate}; look at the dataset, or raise MixtureConfig.max_skip_rate"
            )
