"""One image or one clip with its caption: `<BOS><image>{caption}<EOC><EOS>`."""

import dataclasses

import numpy as np

from flamingo_jax.data.dataset_config import LOSS_ON_CHUNKS, DatasetConfig
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.example import Example, pad_example
from flamingo_jax.data.media import load_media
from flamingo_jax.data.packing import PackableConfig
from flamingo_jax.data.sequence import plain_text
from flamingo_jax.data.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairsConfig(PackableConfig):
    """A dataset of captioned images such as ALIGN and LTIP; the defaults are the paper's.

    Packed, a row holds `documents_per_row` pairs, each blind to the others' text and images, and the loss counts each
    as it does alone. An image costs as much as ever; what packing saves is the language model's work on padding.

    Attributes:
      length: 32 or 64 in the paper, "depending on the dataset"; which is which is not stated.
      prefix_space: probability that a caption gets one space before it, so that the model reads captions however the
        tokenizer splits their first word (1/2 in the paper).
    """

    weight: float = 0.2
    length: int = 32
    prefix_space: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.prefix_space <= 1:
            raise ValueError(f"{type(self).__name__}.prefix_space must lie in [0, 1], got {self.prefix_space}")

    @property
    def images_per_row(self) -> int:
        """One a pair."""
        return self.documents_per_row

    def least_size(self, tokenizer: Tokenizer) -> int:
        """See `PackableConfig.least_size`: a caption of one token."""
        return len(_head(tokenizer)) + 1 + len(_tail(tokenizer))

    def size(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> int:
        """See `PackableConfig.size`."""
        # A caption may be of characters that the tokenizer has no token for; its row has the least length all the same.
        caption = max(1, len(self._caption(document, tokenizer, rng)))
        return len(_head(tokenizer)) + caption + len(_tail(tokenizer))

    def example(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None = None) -> Example:
        """See `DatasetConfig.example`. All tokens see the image (paper: the indices are all 1).

        A caption that is too long is cut so that `<EOC><EOS>` stay. Without `rng` no space is put before it.

        Raises:
          RecordError: not exactly one image or clip, no caption, or undecodable.
          ValueError: `length` leaves no room for a caption.
        """
        caption = self._caption(document, tokenizer, rng)
        head, tail = _head(tokenizer), _tail(tokenizer)
        room = self.length - len(head) - len(tail)
        if room < 1:
            raise ValueError(
                f"{type(self).__name__}.length = {self.length} leaves no room for a caption beside <BOS>, the"
                f" {len(head) - 1} tokens of <image>, <EOC> and <EOS>"
            )
        tokens = np.asarray([*head, *caption[:room], *tail], np.int32)
        targets = np.ones(len(tokens), bool)
        if self.loss == LOSS_ON_CHUNKS:
            targets[: len(head)] = False
            targets[-1] = False
        try:
            images, frame_mask = load_media(document.media, 1, self, rng)
        except RecordError as error:
            raise type(error)(f"document {document.key!r}: {error}") from error
        index = np.ones(len(tokens), np.int32)
        return pad_example(
            tokens=tokens,
            image_index=index,
            image_first=self.image_first(index),
            loss_mask=targets,
            images=images,
            frame_mask=frame_mask,
            length=self.length,
            pad_id=tokenizer.eos_id,
        )

    def _caption(self, document: Document, tokenizer: Tokenizer, rng: np.random.Generator | None) -> list[int]:
        """All tokens of the caption. Takes the first number from `rng`."""
        media, caption = document.media, document.text
        if len(media) != 1 or not caption:
            raise RecordError(
                f"document {document.key!r}: {len(media)} media and a caption of {len(caption)} characters;"
                " a pair has one image or clip, and a caption"
            )
        if rng is not None and rng.random() < self.prefix_space:
            caption = " " + caption
        return tokenizer.encode(plain_text(caption))


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoConfig(PairsConfig):
    """A dataset of captioned clips such as VTP: eight frames at one a second, loss weight 0.03 (paper, section 3.4).

    Attributes:
      inference_frames, inference_frame_rate: what prompts have instead of `num_frames` and `frame_rate`. The paper
        trains on 8 frames and answers from 30, at three a second, with interpolated temporal embeddings (appendix
        B.1.2).
    """

    weight: float = 0.03
    num_frames: int = 8
    inference_frames: int = 30
    inference_frame_rate: float = 3.0

    def __post_init__(self):
        super().__post_init__()
        for name in ("inference_frames", "inference_frame_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"VideoConfig.{name} must be positive, got {getattr(self, name)}")

    @property
    def at_inference(self) -> DatasetConfig:
        """The same with the frames of inference."""
        return dataclasses.replace(self, num_frames=self.inference_frames, frame_rate=self.inference_frame_rate)


def _head(tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.bos_id, *tokenizer.image_tag_ids]


def _tail(tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.eoc_id, tokenizer.eos_id]
