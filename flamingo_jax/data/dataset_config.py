"""What all kinds of datasets share: where the records are, how many a step takes, and how their media are prepared."""

import dataclasses

import numpy as np
from jaxtyping import Int32

from flamingo_jax.data.document import Document, Image, Video
from flamingo_jax.data.example import Example
from flamingo_jax.data.images import Augmentation, check_image_options
from flamingo_jax.data.tokenizer import Tokenizer

LOSS_ON_ALL = "all"
LOSS_ON_CHUNKS = "chunks"
SEES_LAST = "last"
SEES_ALL = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """One dataset of a mixture. The kinds are `InterleavedConfig`, `PairsConfig`, `VideoConfig` and `TextConfig`.

    Attributes:
      path: folder of a TFDS dataset (of its newest version is read) or of one version.
      split: the split to read.
      batch_size: rows of the global batch that this dataset fills in each step.
      weight: factor of this dataset's loss (the paper's lambda).
      length: L, tokens a row.
      image_size: height and width in pixels; 320 in the paper's pretraining.
      num_frames: T, frames a clip; 1 for stills. A still in a dataset with more frames fills the first.
      frame_rate: frames a second that are taken from a clip; 1 in the paper's training.
      pad_value: red, green and blue of the padding that makes images square. The paper pads "with the mean value": give
        the mean of the vision encoder's normalization times 255, so that padding becomes 0 there. 127 is that of
        EfficientNet-lite.
      max_pixels: larger images and frames count as undecodable.
      augment: flips and colour changes of training.
      images_seen: which images of a row a token sees: "last", the one of its index (the paper's phi); "all", that one
        and all before it (an ablation of the paper).
      loss: which tokens are targets. The paper does not mention any masking and sums over all tokens: "all", every
        token but the first. "chunks" is OpenFlamingo's: only what follows an `<image>` tag up to and including the next
        `<EOC>`, the tag itself left out.
    """

    path: str
    split: str = "train"
    batch_size: int
    weight: float = 1.0
    length: int = 256
    image_size: int = 320
    num_frames: int = 1
    frame_rate: float = 1.0
    pad_value: tuple[int, int, int] = (127, 127, 127)
    max_pixels: int = 64_000_000
    augment: Augmentation = dataclasses.field(default_factory=Augmentation)
    images_seen: str = SEES_LAST
    loss: str = LOSS_ON_ALL

    def __post_init__(self):
        check_image_options(size=self.image_size, pad_value=self.pad_value, max_pixels=self.max_pixels)
        for name in ("batch_size", "length", "num_frames", "frame_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{type(self).__name__}.{name} must be positive, got {getattr(self, name)}")
        if self.weight < 0:
            raise ValueError(f"{type(self).__name__}.weight must not be negative, got {self.weight}")
        if self.loss not in (LOSS_ON_ALL, LOSS_ON_CHUNKS):
            raise ValueError(f"{type(self).__name__}.loss must be 'all' or 'chunks', got {self.loss!r}")
        if self.images_seen not in (SEES_LAST, SEES_ALL):
            raise ValueError(f"{type(self).__name__}.images_seen must be 'last' or 'all', got {self.images_seen!r}")

    @property
    def images_per_row(self) -> int:
        """N, places for images and clips in a row."""
        raise NotImplementedError

    @property
    def documents_per_row(self) -> int:
        """M, documents that share a row; `PackableConfig` makes it a field."""
        return 1

    @property
    def at_inference(self) -> "DatasetConfig":
        """How media of this kind are prepared for prompts."""
        return self

    def media(
        self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None
    ) -> tuple[Image | Video, ...]:
        """The images and clips that `example`, with a generator in the same state, puts into the row, in order."""
        return document.media

    def image_first(self, image_index: Int32[np.ndarray, "..."]) -> Int32[np.ndarray, "..."]:
        """The first image that each token sees, where `image_index` is the last."""
        return np.minimum(image_index, 1) if self.images_seen == SEES_ALL else image_index

    def example(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> Example:
        """The document as a row of its own, also where documents are packed.

        Args:
          rng: the source of all random choices of training. None makes the row deterministic, for evaluation: no
            augmentation, the document from its beginning, clips from theirs, tokens see the previous image.

        Raises:
          RecordError: this document cannot become a row of this dataset.
        """
        raise NotImplementedError
