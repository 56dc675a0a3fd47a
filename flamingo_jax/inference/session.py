"""A trained model from its workdir, ready to answer."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float

from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.inference.advancing import Advance, Sampling, Tokens, controls
from flamingo_jax.inference.batches import Batches, Prompt
from flamingo_jax.inference.buckets import batch_rows, bucket
from flamingo_jax.inference.candidates import Candidates, parts
from flamingo_jax.inference.continuing import RANDOM_KEYS
from flamingo_jax.inference.decoding import DEFAULT, Decoding
from flamingo_jax.inference.machine import for_this_machine
from flamingo_jax.inference.media import MediaEncoder, Medium, VisualTokens, load_on_threads
from flamingo_jax.inference.programs import Programs
from flamingo_jax.inference.prompts import PromptError, tokenize_candidate
from flamingo_jax.inference.streaming import AT_ONCE, Stream
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import merge
from flamingo_jax.training.run import RunConfig, run_tokenizer
from flamingo_jax.training.run_file import read_run
from flamingo_jax.training.setup import set_up
from flamingo_jax.training.state import Params


def trained_pixels(mixture: MixtureConfig) -> DatasetConfig:
    """How images are prepared: as in the dataset of the mixture that has the most frames, so that clips fit too.

    A token sees what it saw in any of them; datasets of one image a document do not tell, nor do those of text.
    """
    datasets = [dataset for _, dataset in mixture.datasets]
    most_images = max(datasets, key=lambda dataset: dataset.images_per_row // dataset.documents_per_row)
    most_frames = max(datasets, key=lambda dataset: (dataset.images_per_row > 0, dataset.num_frames))
    return dataclasses.replace(most_frames.at_inference, images_seen=most_images.images_seen)


class Answer(NamedTuple):
    """What the model says after a prompt.

    Attributes:
      text: up to `<EOC>` or `<EOS>`.
      tokens: how many there are, that last one included.
      log_likelihood: of them all, in nats.
    """

    text: str
    tokens: int
    log_likelihood: float


@dataclasses.dataclass(frozen=True)
class Session:
    """A model with its newest checkpoint's parameters.

    Prompts are answered in batches, filled up to a few sizes (see `buckets`), so a program that was compiled for some
    prompts serves others. What a prompt gets does not depend on the others, but for float rounding.

    Attributes:
      design: of the training run; its mesh and sharding rules are those of inference.
      params: all parameters, frozen ones included.
      step: of the checkpoint.
      pixels: how images are prepared, and which of them a token sees.
      rows: prompts in a batch, at most.
      remembered: bytes of visual tokens to keep, on the host, for prompts that show the same media.
    """

    design: Design
    params: Params
    tokenizer: Tokenizer
    step: int
    pixels: DatasetConfig
    rows: int = 16
    remembered: int = 2**31

    @classmethod
    def open(cls, workdir: epath.Path, step: int | None = None) -> "Session":
        """Loads the frozen weights and a checkpoint of a workdir, the newest if no `step` is given.

        Raises:
          FileNotFoundError: no run was started there.
          ConfigError, CheckpointError, WeightsError, TokenizerError: what is missing or does not fit.
        """
        run = for_this_machine(read_run(epath.Path(workdir), step))
        tokenizer = run_tokenizer(run)  # before the weights, which take long
        setup = set_up(Design.make(run, trains=False), resumed=True)
        with Checkpoints(epath.Path(workdir), run.checkpoints, read_only=True) as checkpoints:
            if not checkpoints.steps:
                raise ConfigError(f"{workdir} has no complete checkpoint yet: train first")
            step = checkpoints.latest if step is None else step
            if step not in checkpoints.steps:
                known = ", ".join(map(str, checkpoints.steps))
                raise ConfigError(f"{workdir} has no checkpoint of step {step}, but of {known}")
            state = checkpoints.restore(step, setup.design.state, setup.fingerprint).state
        params = merge(state.params, setup.frozen)
        return cls(setup.design, params, tokenizer, step, trained_pixels(run.mixture))

    @property
    def run(self) -> RunConfig:
        """The training run's configuration."""
        return self.design.config

    @property
    def model(self) -> Flamingo:
        """The model."""
        return self.design.model

    def encode_media(self, media: Sequence[Medium]) -> list[VisualTokens]:
        """What the model sees of pictures and clips; prompts may have it in their place.

        What was encoded last is remembered (`remembered`), so prompts that share examples need not care.

        Raises:
          MediaError: a file cannot be decoded; the message names it.
        """
        return self._encoder(media)

    def pooled_features(
        self, media: Sequence[Image | Video], rows: int, frames: int
    ) -> Float[np.ndarray, "media encoder_width"]:
        """Features of pictures and clips by the frozen encoder, see `pooling`.

        Args:
          rows: of the batch, which is filled up to as many.
          frames: of each clip.

        Raises:
          MediaError: as `encode_media`.
        """
        count = -(-rows // self._programs.parts) * self._programs.parts
        pixels = dataclasses.replace(self.pixels, num_frames=frames)
        images, mask = load_on_threads(media, count, pixels)
        return self._programs.pooled(self.params, images, mask)[: len(media)]

    def answer(
        self,
        prompts: Sequence[Prompt],
        decoding: Decoding = DEFAULT,
        *,
        keys: Sequence[int] | None = None,
        blind: bool = False,
    ) -> list[str]:
        """The texts of `answers`."""
        return [answer.text for answer in self.answers(prompts, decoding, keys=keys, blind=blind)]

    def answers(
        self,
        prompts: Sequence[Prompt],
        decoding: Decoding = DEFAULT,
        *,
        keys: Sequence[int] | None = None,
        blind: bool = False,
    ) -> list[Answer]:
        """What the model says after each prompt, up to `<EOC>` or `<EOS>`.

        Args:
          keys: sampling: a number a prompt, 0 to 2**32 - 1. Its samples depend on it, the seed and the prompt, and not
            on the other prompts. None: its place among `prompts`.
          blind: whether the model sees no image, though the tags stand.

        Raises:
          PromptError: a prompt and its media do not fit together, or it is too long for learned positions.
          MediaError: as `encode_media`.
        """
        keys = range(len(prompts)) if keys is None else keys
        answers: list[Answer | None] = [None] * len(prompts)
        for places, batch in self._batches(prompts, decoding.max_new_tokens, blind):
            batch[RANDOM_KEYS] = np.asarray([(decoding.seed, keys[place]) for place in places], np.uint32)
            found = self._programs.continued(self.params, batch, decoding)
            for place, row, total in zip(places, found.tokens.tolist(), found.log_likelihoods.tolist(), strict=True):
                answers[place] = self._answer(row, total)
        return answers

    @property
    def rows_at_once(self) -> int:
        """How many prompts a `stream` takes, at most."""
        return batch_rows(self.rows, self.rows, self._programs.parts)

    def stream(self, prompts: Sequence[Prompt], samplings: Sequence[Sampling], *, blind: bool = False) -> Stream:
        """Answers as they are written, of at most `rows_at_once` prompts, each continued in its own way.

        Samples depend on the prompt and on the seed of its `Sampling` alone.

        Raises:
          ValueError: there are more prompts than that, none, or another number of samplings.
          PromptError, MediaError: as `answers`, at once.
        """
        if not 0 < len(prompts) <= self.rows_at_once or len(samplings) != len(prompts):
            raise ValueError(
                f"{len(prompts)} prompts with {len(samplings)} samplings: a stream takes 1 to {self.rows_at_once}, "
                "each with its own"
            )
        most = max(each.max_new_tokens for each in samplings)
        ((places, batch),) = self._batches(prompts, most, blind)
        chosen = [samplings[place] for place in places]
        drawn = any(each.temperature for each in chosen)
        cut = any(each.temperature and (each.top_k or each.top_p < 1) for each in chosen)
        how, by_row = Advance(AT_ONCE, drawn, cut), controls(chosen)
        prefix, progress = self._programs.begin(self.params, batch, bucket(most))

        def advance(wanted: np.ndarray) -> Tokens:
            nonlocal progress
            tokens, progress = self._programs.advance(self.params, prefix, progress, by_row, wanted, how)
            return tokens

        return Stream(samplings, self.tokenizer, self._stop_ids, places, advance)

    def check(self, prompt: Prompt, more: int = 0) -> int:
        """The number of tokens of a prompt.

        Args:
          more: tokens that may follow it.

        Raises:
          PromptError: as `answers`.
        """
        return len(self._batches.read(*prompt, more).tokens)

    def score_candidates(
        self,
        prompts: Sequence[Prompt],
        candidates: Sequence[str] | Sequence[Sequence[str]],
        *,
        end_of_chunk: bool = True,
        blind: bool = False,
    ) -> list[Candidates]:
        """The log-likelihood of each candidate after each prompt, which goes through the model once for all of them.

        Args:
          candidates: of all prompts; or a list a prompt. See `tokenize_candidate` for how they join the prompt.
          end_of_chunk: whether the `<EOC>` that ends a candidate counts as its last token. The paper does not state it.
            With it the scores are those of whole answers: without, "cat" is never less likely than "cat fish", which
            begins with it.
          blind: as `answer`.

        Raises:
          PromptError: as `answer`; a candidate has tags or no tokens, or a prompt has no candidates.
          MediaError: as `encode_media`.
        """
        lists = [candidates] * len(prompts) if candidates and isinstance(candidates[0], str) else candidates
        if len(lists) != len(prompts) or not all(lists):
            raise PromptError(
                f"{len(lists)} lists of candidates for {len(prompts)} prompts, {sum(not each for each in lists)} of "
                "them empty: give one list for all, or one each, of at least one candidate"
            )
        known = {
            text: tokenize_candidate(text, self.tokenizer, end_of_chunk)
            for text in {text for each in lists for text in each}
        }
        tokens = [[known[text] for text in each] for each in lists]
        longest = max(map(len, known.values()), default=0)
        found: list[Candidates | None] = [None] * len(prompts)
        for places, batch in self._batches(prompts, longest, blind):
            chosen = [tokens[place] for place in places]
            for place, scores in zip(places, self._scored(batch, chosen), strict=True):
                found[place] = Candidates(scores, np.asarray([len(each) for each in tokens[place]]))
        return found

    def losses(self, batch: Mapping[str, np.ndarray]) -> Float[np.ndarray, "batch length"]:
        """The negative log-likelihood, in nats, of each token of rows as training has them (`data.example.stack`)."""
        return self._programs.losses(self.params, batch)

    def _scored(
        self, batch: Mapping[str, np.ndarray], candidates: Sequence[Sequence[Sequence[int]]]
    ) -> list[np.ndarray]:
        """Sums of log-likelihoods of each prompt's candidates. No part is waited for before the next is under way."""
        logits, prefix = self._programs.prefill(self.params, batch)
        scores = [np.zeros(len(each)) for each in candidates]
        under_way = [
            (part, self._programs.score(self.params, prefix, logits, part.tokens, part.counts))
            for part in parts(candidates)
        ]
        for part, found in under_way:
            for row, (places, values) in enumerate(zip(part.places, np.asarray(found), strict=True)):
                scores[row][places[places >= 0]] = values[places >= 0]
        return scores

    def _answer(self, tokens: Sequence[int], log_likelihood: float) -> Answer:
        """The answer without what follows the first stop token."""
        end = next((place for place, token in enumerate(tokens) if token in self._stop_ids), len(tokens))
        text = self.tokenizer.decode(tokens[:end]).strip()
        return Answer(text, min(end + 1, len(tokens)), log_likelihood)

    @property
    def _stop_ids(self) -> tuple[int, ...]:
        return tuple(sorted({self.tokenizer.eoc_id, self.tokenizer.eos_id}))

    @functools.cached_property
    def _programs(self) -> Programs:
        return Programs(self.model, self.design.mesh, self.run.mesh.rules, self._stop_ids)

    @property
    def _batches(self) -> Batches:
        parts, config = self._programs.parts, self.model.config
        return Batches(self.tokenizer, self.pixels, config, self.encode_media, self.rows, parts)

    @functools.cached_property
    def _encoder(self) -> MediaEncoder:
        encode = functools.partial(self._programs.encode, self.params)
        return MediaEncoder(encode, self.pixels, self._programs.parts, self.remembered)
