"""Who sees whom.

The page decides, the model obeys: every mask is a pure function of arrays that the data pipeline computed, so packing,
few-shot prompts, video and "all previous images" are data and not branches of the model. For the page

    <BOS> Two pets <EOC> <image> a cat <EOC> <image> a dog <EOC>

    token        <BOS> Two pets <EOC> | <image> a cat <EOC> | <image> a dog <EOC>
    image_index    0    0   0     0   |    1    1  1    1   |    2    2  2    2

each token attends to the visual tokens of exactly one image, and those with index 0 to none.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Mask:
    """Who sees whom, by segments: what kernels take, and what is written out (`dense`) where there is none.

    Query l sees key k if `first[l] <= key_segments[k] <= query_segments[l]`; segment 0 neither sees nor is seen. For
    text a segment is a document, for visual tokens it is an image.

    Attributes:
      query_segments, key_segments: their segments, from 1.
      first: the first of the segments that a query sees; None: its own alone.
      offset: the slot of the first query in decoding with a cache, where keys are slots; None: 0.
      window: how many slots back a query sees, itself included; None: all. A number is known to the compiler; an array
        is what layers of different windows need when they share one program.
      causal: queries see no later slots than their own.
    """

    query_segments: Int[Array, "batch length"]
    key_segments: Int[Array, "#batch keys"]
    first: Int[Array, "batch length"] | None = None
    offset: Int[Array, ""] | int | None = None
    window: Int[Array, ""] | int | None = None
    causal: bool = dataclasses.field(default=False, metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the mask, written out."""
        return (self.query_segments.shape[0], 1, self.query_segments.shape[1], self.key_segments.shape[1])

    def within(self, window: Int[Array, ""] | int) -> "Mask":
        """The same, but nobody sees `window` slots back, or further."""
        return dataclasses.replace(self, window=window)

    def dense(self) -> Bool[Array, "batch 1 length keys"]:
        """The mask, written out."""
        keys, last = jnp.asarray(self.key_segments)[:, None, :], jnp.asarray(self.query_segments)[:, :, None]
        first = last if self.first is None else jnp.asarray(self.first)[:, :, None]
        sees = (first <= keys) & (keys <= last) & (keys > 0)
        if self.causal or self.window is not None:
            slots = jnp.arange(self.shape[2]) + (0 if self.offset is None else self.offset)
            distance = slots[:, None] - jnp.arange(self.shape[3])
            if self.causal:
                sees &= distance >= 0
            if self.window is not None:
                sees &= distance < self.window
        return sees[:, None]


def causal_mask(
    segment_ids: Int[Array, "batch length"],
    key_segment_ids: Int[Array, "batch keys"] | None = None,
    offset: Int[Array, ""] | int = 0,
) -> Mask:
    """Token l sees the earlier tokens of its own segment, and itself. Segment 0 is padding: it is seen by nobody.

    In decoding with a cache the keys are the cache's slots (`key_segment_ids`) and the queries start at slot `offset`.
    """
    keys = segment_ids if key_segment_ids is None else key_segment_ids
    return Mask(segment_ids, keys, offset=None if isinstance(offset, int) and not offset else offset, causal=True)


def image_causal_mask(
    image_index: Int[Array, "batch length"],
    num_images: int,
    num_latents: int,
    image_first: Int[Array, "batch length"] | None = None,
) -> Mask:
    """Token l sees the visual tokens of images `image_first[l]..image_index[l]` (1-based, inclusive).

    Without `image_first` that is image `image_index[l]` alone: the paper's phi (section 2.3), 0 = no image.
    The keys are `num_images * num_latents` visual tokens, image by image.
    """
    images = np.repeat(np.arange(1, num_images + 1, dtype=np.int32), num_latents)
    return Mask(image_index, images[None], image_first)
