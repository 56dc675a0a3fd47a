"""An example: one row of a batch, in fixed shapes. Examples are made from documents and stacked into batches."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32, UInt8

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """L tokens, N images of T frames each (T = 1 for stills; N = 0 in text), H = W pixels: all that the model needs.

    Attributes:
      tokens: token ids; padding holds the end-of-sequence id.
      segment_ids: 0 on padding, 1, 2, ... on the packed documents of this row (1 alone where nothing is packed). The
        largest is the number of documents in the row.
      positions: the token's position in its segment, from 0.
      image_index: the last image of this row that the token sees (the paper's phi), from 1; 0 = none.
      image_first: the first one that it sees: the same in the paper's setting.
      loss_mask: True where this token is a target. Position l - 1 predicts token l, so the first token of a segment
        never is.
      images: RGB; zero where there is no image.
      frame_mask: True where `images` holds a frame that exists; False for absent images and repeated frames.
    """

    tokens: Int32[np.ndarray, " length"]
    segment_ids: Int32[np.ndarray, " length"]
    positions: Int32[np.ndarray, " length"]
    image_index: Int32[np.ndarray, " length"]
    image_first: Int32[np.ndarray, " length"]
    loss_mask: Bool[np.ndarray, " length"]
    images: UInt8[np.ndarray, "images frames height width 3"]
    frame_mask: Bool[np.ndarray, "images frames"]


BATCH_KEYS = (*(field.name for field in dataclasses.fields(Example)), "skipped")
"""The arrays of a batch, in order."""

DATASET_KEY = "dataset"
"""One more array of batches that hold rows of several datasets, see `flamingo_jax.data.merging`."""


def pad_example(
    *,
    tokens: Int32[np.ndarray, " used"],
    image_index: Int32[np.ndarray, " used"],
    image_first: Int32[np.ndarray, " used"],
    loss_mask: Bool[np.ndarray, " used"],
    images: UInt8[np.ndarray, "images frames height width 3"],
    frame_mask: Bool[np.ndarray, "images frames"],
    length: int,
    pad_id: int,
) -> Example:
    """One document in one segment, padded on the right to `length` tokens; its first token is no target."""
    used = len(tokens)

    def padded(values: np.ndarray, fill: int | bool) -> np.ndarray:
        out = np.full(length, fill, values.dtype)
        out[:used] = values
        return out

    targets = padded(loss_mask, False)
    targets[0] = False
    return Example(
        tokens=padded(tokens, pad_id),
        segment_ids=padded(np.ones(used, np.int32), 0),
        positions=padded(np.arange(used, dtype=np.int32), 0),
        image_index=padded(image_index, 0),
        image_first=padded(image_first, 0),
        loss_mask=targets,
        images=images,
        frame_mask=frame_mask,
    )


def stack(examples: Sequence[Example], skipped: Sequence[int]) -> Batch:
    """The batch of these rows: every field of `Example` with a leading batch axis, and `skipped` int32 [B]."""
    batch = {name: np.stack([getattr(example, name) for example in examples]) for name in BATCH_KEYS[:-1]}
    batch["skipped"] = np.asarray(skipped, np.int32)
    return batch
