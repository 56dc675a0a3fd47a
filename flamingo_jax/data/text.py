"""Text without images, to train the language model further beside the rest: `<BOS>{text}<EOS>`."""

import dataclasses

import numpy as np

from flamingo_jax.data.dataset_config import LOSS_ON_ALL, DatasetConfig
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.example import Example, pad_example
from flamingo_jax.data.packing import PackableConfig
from flamingo_jax.data.sequence import plain_text
from flamingo_jax.data.tokenizer import Tokenizer

_UNUSED = ("image_size", "num_frames", "frame_rate", "pad_value", "max_pixels", "augment", "images_seen")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig(PackableConfig):
    """A dataset of text such as MassiveText; the defaults are those of the paper's co-training (appendix B.3.1).

    Its rows hold no image at all: `images` is of size 0, and neither encoder nor resampler runs. The fields about media
    must keep their defaults.

    Attributes:
      length: a window of this many tokens, uniformly among all full ones, is drawn from longer documents.
    """

    weight: float = 1.0
    length: int = 2048

    def __post_init__(self):
        super().__post_init__()
        if self.loss != LOSS_ON_ALL:
            raise ValueError(f"TextConfig.loss must be 'all', got {self.loss!r}: text without images has no chunks")
        defaults = {field.name: field for field in dataclasses.fields(DatasetConfig)}
        for name in _UNUSED:
            factory = defaults[name].default_factory
            default = defaults[name].default if factory is dataclasses.MISSING else factory()
            if getattr(self, name) != default:
                raise ValueError(f"TextConfig.{name} does nothing: there are no images in text; leave it out")

    @property
    def images_per_row(self) -> int:
        """None."""
        return 0

    def least_size(self, tokenizer: Tokenizer) -> int:
        """See `PackableConfig.least_size`: `<BOS>` and a target."""
        return 2

    def size(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> int:
        """See `PackableConfig.size`."""
        return len(self._tokens(document, tokenizer))

    def example(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> Example:
        """See `DatasetConfig.example`. `images` is [0, 1, 1, 1, 3].

        Raises:
          RecordError: no text, or media.
        """
        tokens = self._tokens(document, tokenizer)
        unit = 0.0 if rng is None else rng.random()
        start = int(unit * (max(0, len(tokens) - self.length) + 1))
        window = tokens[start : start + self.length]
        index = np.zeros(len(window), np.int32)
        return pad_example(
            tokens=window,
            image_index=index,
            image_first=index,
            loss_mask=np.ones(len(window), bool),
            images=np.zeros((0, 1, 1, 1, 3), np.uint8),
            frame_mask=np.zeros((0, 1), bool),
            length=self.length,
            pad_id=tokenizer.eos_id,
        )

    def _tokens(self, document: Document, tokenizer: Tokenizer) -> np.ndarray:
        text, media = document.text, document.media
        if media or not text:
            raise RecordError(
                f"document {document.key!r}: {len(media)} media and a text of {len(text)} characters; a dataset of"
                " text has text alone"
            )
        return np.asarray([tokenizer.bos_id, *tokenizer.encode(plain_text(text)), tokenizer.eos_id], np.int32)
