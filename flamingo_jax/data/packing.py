"""Several short documents in one row, each a segment of its own that neither text nor images of the others reach.

Rows are packed in groups: the M documents of each of G rows are dealt out so that the rows' lengths come out even.
Who goes where follows from the lengths of the texts alone, so all hosts that own a row of a group agree on it without
having decoded an image.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Document
from flamingo_jax.data.example import Example
from flamingo_jax.data.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class PackableConfig(DatasetConfig):
    """A dataset whose documents are so short that several may share a row.

    Attributes:
      documents_per_row: M, documents a row holds, always exactly as many; 1: no packing. `length` counts the tokens of
        the whole row. Documents too long for their row are cut, the longest first; none is left out.
      packing_group: G, rows among which documents are dealt out; divides `batch_size`. More rows come out more even, so
        fewer documents are cut. A host reads the text of whole groups, but decodes the media of its own rows alone.
    """

    documents_per_row: int = 1
    packing_group: int = 1

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        for field in ("documents_per_row", "packing_group"):
            if getattr(self, field) < 1:
                raise ValueError(f"{name}.{field} must be at least 1, got {getattr(self, field)}")
        if self.batch_size % self.packing_group:
            raise ValueError(
                f"{name}.packing_group = {self.packing_group} must divide batch_size = {self.batch_size}, so that no"
                " group spans two steps"
            )
        if self.documents_per_row == 1 and self.packing_group > 1:
            raise ValueError(
                f"{name}.packing_group = {self.packing_group} does nothing without packing: set documents_per_row too"
            )

    def least_size(self, tokenizer: Tokenizer) -> int:
        """Tokens of the shortest row that a document may be cut to."""
        raise NotImplementedError

    def size(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> int:
        """How many tokens `example`, with a generator in the same state, would use if `length` had no end.

        Decodes nothing.

        Raises:
          RecordError: the text of this document cannot become a row.
        """
        raise NotImplementedError


def deal(sizes: Sequence[int], rows: int, per_row: int) -> list[list[int]]:
    """Which of the `rows * per_row` documents go into each row: each row gets `per_row`, in ascending order.

    The longest goes first, each into the emptiest row that has a place left, of equal ones into the first.
    """
    dealt: list[list[int]] = [[] for _ in range(rows)]
    used = [0] * rows
    for item in sorted(range(len(sizes)), key=lambda item: (-sizes[item], item)):
        row = min((row for row in range(rows) if len(dealt[row]) < per_row), key=lambda row: (used[row], row))
        dealt[row].append(item)
        used[row] += sizes[item]
    return [sorted(row) for row in dealt]


def rooms(sizes: Sequence[int], length: int) -> list[int]:
    """Tokens that each document of a row gets: its own size if all fit; else the longest are cut to one length.

    (One token more for some of them, where the rest does not divide.) The others keep their size.
    """
    granted, left = [0] * len(sizes), length
    for place, item in enumerate(sorted(range(len(sizes)), key=lambda item: (sizes[item], item))):
        granted[item] = min(sizes[item], left // (len(sizes) - place))
        left -= granted[item]
    return granted


def join(parts: Sequence[Example], length: int, pad_id: int) -> Example:
    """The examples as the segments 1, 2, ... of one row of `length` tokens. Each keeps its own images and no others."""

    def joined(name: str, fill: int | bool, offsets: Sequence[int] | None = None) -> np.ndarray:
        out = np.full(length, fill, getattr(parts[0], name).dtype)
        start = 0
        for place, part in enumerate(parts):
            used = np.count_nonzero(part.segment_ids)
            values = getattr(part, name)[:used]
            out[start : start + used] = values if offsets is None else np.where(values > 0, values + offsets[place], 0)
            start += used
        return out

    images_before = np.cumsum([0, *(len(part.images) for part in parts)])
    return Example(
        tokens=joined("tokens", pad_id),
        segment_ids=joined("segment_ids", 0, range(len(parts))),
        positions=joined("positions", 0),
        image_index=joined("image_index", 0, images_before),
        image_first=joined("image_first", 0, images_before),
        loss_mask=joined("loss_mask", False),
        images=np.concatenate([part.images for part in parts]),
        frame_mask=np.concatenate([part.frame_mask for part in parts]),
    )
