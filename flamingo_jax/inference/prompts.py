"""Prompts: rows of text with `<image>` and `<EOC>` tags, and their images, as the arrays that the model reads."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.media import load_media
from flamingo_jax.data.tokenizer import IMAGE_TAG, Tokenizer

EOC_TAG = "<EOC>"
_TAGS = re.compile(f"({re.escape(IMAGE_TAG)}|{re.escape(EOC_TAG)})")


class PromptError(ValueError):
    """A prompt and its images do not fit together."""


def tokenize_prompt(text: str, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The tokens of a prompt, begun by `<BOS>`, and for each the index of the last image before it (0: none).

    `<image>` stands for an image and `<EOC>` for the end-of-chunk token; everything else is plain text.
    """
    tokens, index, images = [tokenizer.bos_id], [0], 0
    for piece in _TAGS.split(text):
        images += piece == IMAGE_TAG
        special = {IMAGE_TAG: tokenizer.image_tag_ids, EOC_TAG: [tokenizer.eoc_id]}
        ids = special[piece] if piece in special else tokenizer.encode(piece)
        tokens += ids
        index += [images] * len(ids)
    return tokens, index


def prompt_batch(
    prompts: Sequence[tuple[str, Sequence[Image | Video]]], tokenizer: Tokenizer, pixels: DatasetConfig
) -> Mapping[str, np.ndarray]:
    """A batch of prompts, padded on the left so that all of them end in the last position.

    Args:
      prompts: text, and the media of its `<image>` tags in order.
      tokenizer: the model's.
      pixels: image size, frames, padding and the images that a token sees, as the model was trained with.

    Returns:
      The model's inputs (see `Flamingo.__call__`).

    Raises:
      PromptError: a prompt has more or fewer tags than media.
      MediaError: an image cannot be decoded; the message names it.
    """
    if not any(isinstance(item, Video) for _, media in prompts for item in media):
        pixels = dataclasses.replace(pixels, num_frames=1)  # stills do not pay for the frames of clips
    rows = []
    for text, media in prompts:
        tags = text.count(IMAGE_TAG)
        if tags != len(media):
            raise PromptError(
                f"the prompt {text[:60]!r} has {tags} {IMAGE_TAG} tags and {len(media)} images; give one image a tag"
            )
        rows.append(tokenize_prompt(text, tokenizer))
    length = max(len(tokens) for tokens, _ in rows)
    capacity = max(1, max(len(media) for _, media in prompts))
    shape = (len(rows), length)
    batch = {name: np.zeros(shape, np.int32) for name in ("segment_ids", "positions", "image_index")}
    batch["tokens"] = np.full(shape, tokenizer.eos_id, np.int32)
    for row, (tokens, index) in enumerate(rows):
        used = slice(length - len(tokens), length)
        batch["tokens"][row, used], batch["image_index"][row, used] = tokens, index
        batch["segment_ids"][row, used], batch["positions"][row, used] = 1, np.arange(len(tokens))
    blocks = [load_media(media, capacity, pixels, None) for _, media in prompts]
    batch["image_first"] = pixels.image_first(batch["image_index"])
    batch["images"], batch["frame_mask"] = (np.stack(parts) for parts in zip(*blocks, strict=True))
    return batch
