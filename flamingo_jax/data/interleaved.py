"""Interleaved pages: a window of a page's tokens, the images that stand in it, and which of them each token sees."""

import dataclasses

import numpy as np

from flamingo_jax.data.dataset_config import LOSS_ON_CHUNKS, DatasetConfig
from flamingo_jax.data.document import Document, Image, Video
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.example import Example, pad_example
from flamingo_jax.data.media import load_media
from flamingo_jax.data.sequence import (
    TokenStream,
    in_chunk,
    media_in_window,
    next_image,
    previous_image,
    tokenize,
)
from flamingo_jax.data.tokenizer import Tokenizer

WINDOW_ANYWHERE = "anywhere"
WINDOW_AT_IMAGE = "image"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InterleavedConfig(DatasetConfig):
    """A dataset of pages such as M3W; the defaults are the paper's.

    Attributes:
      max_images: N, places for images in a row; the first N of the window are kept.
      p_next: probability that a page's tokens see the next image instead of the previous one (1/2 in the paper).
      paragraph_separator: stands between two paragraphs. Not stated in the paper; a blank line here.
      window: where windows of pages longer than `length` begin. The paper says "a random window": "anywhere", uniformly
        among all full windows. "image": uniformly among the page's tags, so that every row has an image and none is
        spent on text alone; rows near the end of a page are padded.
    """

    max_images: int = 5
    p_next: float = 0.5
    paragraph_separator: str = "\n\n"
    window: str = WINDOW_ANYWHERE

    def __post_init__(self):
        super().__post_init__()
        if self.max_images < 1:
            raise ValueError(f"InterleavedConfig.max_images must be positive, got {self.max_images}")
        if not 0 <= self.p_next <= 1:
            raise ValueError(f"InterleavedConfig.p_next must lie in [0, 1], got {self.p_next}")
        if self.window not in (WINDOW_ANYWHERE, WINDOW_AT_IMAGE):
            raise ValueError(f"InterleavedConfig.window must be 'anywhere' or 'image', got {self.window!r}")
        if self.loss == LOSS_ON_CHUNKS and self.p_next > 0:
            raise ValueError(
                "InterleavedConfig.loss = 'chunks' masks the text before an image: set p_next to 0 with it"
            )

    @property
    def images_per_row(self) -> int:
        """N."""
        return self.max_images

    def example(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> Example:
        """See `DatasetConfig.example`. Only the images that the window keeps are decoded."""
        if not document.items:
            raise RecordError(f"document {document.key!r}: nothing in it")
        stream = tokenize(document, tokenizer, self.paragraph_separator)
        start = 0 if rng is None else self._start(stream, rng)
        place = next_image if rng is not None and rng.random() < self.p_next else previous_image
        index = place(stream, start, self.length, self.max_images)
        stop = start + len(index)
        targets = np.ones(len(index), bool)
        if self.loss == LOSS_ON_CHUNKS:
            targets = in_chunk(stream)[start:stop] & (index > 0)
        try:
            images, frame_mask = load_media(self._kept(stream, start), self.max_images, self, rng)
        except RecordError as error:
            raise type(error)(f"document {document.key!r}: {error}") from error
        return pad_example(
            tokens=stream.tokens[start:stop],
            image_index=index,
            image_first=self.image_first(index),
            loss_mask=targets,
            images=images,
            frame_mask=frame_mask,
            length=self.length,
            pad_id=tokenizer.eos_id,
        )

    def media(
        self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None
    ) -> tuple[Image | Video, ...]:
        """See `DatasetConfig.media`."""
        stream = tokenize(document, tokenizer, self.paragraph_separator)
        return self._kept(stream, 0 if rng is None else self._start(stream, rng))

    def _kept(self, stream: TokenStream, start: int) -> tuple[Image | Video, ...]:
        places = media_in_window(stream, start, self.length)[: self.max_images]
        return stream.media[places.start : places.stop]

    def _start(self, stream: TokenStream, rng: np.random.Generator) -> int:
        unit = rng.random()
        if len(stream.tokens) <= self.length:
            return 0
        if self.window == WINDOW_AT_IMAGE and len(stream.tag_starts):
            return int(stream.tag_starts[int(unit * len(stream.tag_starts))])
        return int(unit * (len(stream.tokens) - self.length + 1))
