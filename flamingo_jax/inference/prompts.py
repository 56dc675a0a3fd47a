"""Prompts: rows of text with `<image>` and `<EOC>` tags as the arrays that the model reads."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.tokenizer import IMAGE_TAG, Tokenizer

EOC_TAG = "<EOC>"
_BEFORE = "Answer:"  # what candidates follow, as good as any other word
_TAGS = re.compile(f"({re.escape(IMAGE_TAG)}|{re.escape(EOC_TAG)})")


class PromptError(ValueError):
    """A prompt does not fit its media or the model."""


class PromptTokens(NamedTuple):
    """A prompt's tokens, and for each the index of the last image before it (0: none)."""

    tokens: list[int]
    image_index: list[int]


def tokenize_prompt(text: str, tokenizer: Tokenizer) -> PromptTokens:
    """The tokens of a prompt, begun by `<BOS>`.

    `<image>` stands for an image and `<EOC>` for the end-of-chunk token; everything else is plain text.
    """
    tokens, index, images = [tokenizer.bos_id], [0], 0
    for piece in _TAGS.split(text):
        images += piece == IMAGE_TAG
        special = {IMAGE_TAG: tokenizer.image_tag_ids, EOC_TAG: [tokenizer.eoc_id]}
        ids = special[piece] if piece in special else tokenizer.encode(piece)
        tokens += ids
        index += [images] * len(ids)
    return PromptTokens(tokens, index)


def check_media(text: str, media: Sequence) -> None:
    """Raises PromptError if the prompt has more or fewer tags than media."""
    tags = text.count(IMAGE_TAG)
    if tags != len(media):
        raise PromptError(
            f"the prompt {text[:60]!r} has {tags} {IMAGE_TAG} tags and {len(media)} images; give one image a tag"
        )


def tokenize_candidate(text: str, tokenizer: Tokenizer, end_of_chunk: bool) -> list[int]:
    """The tokens of what may follow a prompt, apart from it, so begin it with a space where words are to be apart.

    Raises:
      PromptError: it has no tokens, or tags.
    """
    if _TAGS.search(text):
        raise PromptError(f"the candidate {text[:60]!r} has a tag: candidates are plain text")
    # Within a text, and not at its beginning, where some tokenizers put a space of their own (SentencePiece's "▁").
    before, together = tokenizer.encode(_BEFORE), tokenizer.encode(_BEFORE + text)
    follows = together[: len(before)] == before
    tokens = together[len(before) :] if follows else tokenizer.encode(text)
    tokens = [*tokens, *([tokenizer.eoc_id] if end_of_chunk else [])]
    if not tokens:
        raise PromptError("a candidate is empty: there is nothing to score")
    return tokens


def prompt_batch(
    prompts: Sequence[PromptTokens], tokenizer: Tokenizer, pixels: DatasetConfig, length: int = 0
) -> Mapping[str, np.ndarray]:
    """A batch of prompts, padded on the left so that all of them end in the last position.

    Args:
      tokenizer: the model's.
      pixels: says which images a token sees, as the model was trained.
      length: of the rows; 0: as long as the longest prompt.

    Returns:
      The model's inputs (see `Flamingo.__call__`), images apart.
    """
    length = length or max(len(prompt.tokens) for prompt in prompts)
    shape = (len(prompts), length)
    batch = {name: np.zeros(shape, np.int32) for name in ("segment_ids", "positions", "image_index")}
    batch["tokens"] = np.full(shape, tokenizer.eos_id, np.int32)
    for row, prompt in enumerate(prompts):
        used = slice(length - len(prompt.tokens), length)
        batch["tokens"][row, used], batch["image_index"][row, used] = prompt
        batch["segment_ids"][row, used], batch["positions"][row, used] = 1, np.arange(len(prompt.tokens))
    batch["image_first"] = pixels.image_first(batch["image_index"])
    return batch
