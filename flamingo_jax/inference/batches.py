"""Prompts of all sizes as batches of few."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.inference.buckets import batch_rows, chunks, image_places, prompt_length
from flamingo_jax.inference.media import Medium, VisualTokens, media_block
from flamingo_jax.inference.prompts import PromptError, PromptTokens, check_media, prompt_batch, tokenize_prompt
from flamingo_jax.models.flamingo import FlamingoConfig

Prompt = tuple[str, Sequence[Medium]]
"""Text with `<image>` and `<EOC>` tags, and the media of its `<image>` tags in order."""


@dataclasses.dataclass(frozen=True)
class Batches:
    """Cuts prompts into batches.

    Attributes:
      tokenizer, config: of the model.
      pixels: says which images a token sees.
      encode: media to visual tokens.
      rows: prompts in a batch, at most.
      parts: what the rows of a batch must be a multiple of.
    """

    tokenizer: Tokenizer
    pixels: DatasetConfig
    config: FlamingoConfig
    encode: Callable[[Sequence[Medium]], list[VisualTokens]]
    rows: int
    parts: int

    def __call__(
        self, prompts: Sequence[Prompt], more: int, blind: bool = False
    ) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """The places in `prompts` of a batch's rows, and its arrays (`prefill.Prompts`), prompts of like size together.

        A batch is filled up with copies of its first row, whose place stands there again. All prompts are checked
        before the first batch; media are encoded batch by batch.

        Args:
          more: tokens that will follow each prompt.
          blind: no images are seen, though their tags stand.

        Raises:
          PromptError: a prompt and its media do not fit together, or it is too long for learned positions.
          MediaError: a file cannot be decoded.
        """
        rows = [self.read(text, media, more) for text, media in prompts]
        sizes = [
            (0 if blind else image_places(len(media)), prompt_length(len(row.tokens)))
            for (_, media), row in zip(prompts, rows, strict=True)
        ]
        for chosen in chunks(sizes, batch_rows(len(prompts), self.rows, self.parts)):
            filling = batch_rows(len(chosen), self.rows, self.parts) - len(chosen)
            places = chosen + chosen[:1] * filling
            images, length = (max(each) for each in zip(*(sizes[place] for place in chosen), strict=True))
            batch = dict(prompt_batch([rows[place] for place in places], self.tokenizer, self.pixels, length))
            if blind:
                batch |= {name: np.zeros_like(batch[name]) for name in ("image_index", "image_first")}
            shown = [[] if blind else prompts[place][1] for place in places]
            yield places, batch | {"media": self._media(shown, images)}

    def read(self, text: str, media: Sequence[Medium], more: int) -> PromptTokens:
        """A prompt's tokens, checked as in a call."""
        check_media(text, media)
        prompt = tokenize_prompt(text, self.tokenizer)
        language, length = self.config.language, len(prompt.tokens)
        if language.positions == "learned" and length + more > language.max_length:
            raise PromptError(
                f"the prompt {text[:60]!r} has {length} tokens, and up to {more} follow: the language model has "
                f"positions for {language.max_length}"
            )
        return prompt

    def _media(self, rows: Sequence[Sequence[Medium]], places: int) -> np.ndarray:
        encoded = iter(self.encode([medium for row in rows for medium in row]))
        return media_block([[next(encoded) for _ in row] for row in rows], places, self.config)
