"""A few tokens at a time, so that an answer can be read while it is written; every row is continued in its own way."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from flamingo_jax.config import ConfigError
from flamingo_jax.inference.cache import empty_cache
from flamingo_jax.inference.decoding import SAMPLE, Decoding
from flamingo_jax.inference.prefill import Prefix, Prompts, extend, prefill
from flamingo_jax.inference.sampling import draw_from, kept_of_each, most_likely
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.language.layer import Cache
from flamingo_jax.training.state import Params

_FIELDS = ("temperature", "top_k", "top_p", "seed")


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How one prompt is continued. Prompts of one batch may differ in all of this, and share a compiled program.

    Attributes:
      max_new_tokens, top_k, top_p, seed: see `Decoding`.
      temperature: logits are divided by it; 0: the most likely token each time, whatever the other fields are.
      stops: texts that end the answer and are not part of it.

    Raises:
      ConfigError: a value is out of range.
    """

    max_new_tokens: int = 64
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stops: tuple[str, ...] = ()

    def __post_init__(self):
        drawn = {name: getattr(self, name) for name in _FIELDS}
        if isinstance(self.temperature, (int, float)) and self.temperature == 0:
            drawn["temperature"] = 1.0
        Decoding(method=SAMPLE, max_new_tokens=self.max_new_tokens, **drawn)  # refuses what is out of range
        if not all(self.stops):
            raise ConfigError("Sampling.stops has an empty text, which would end every answer at once")


class Progress(NamedTuple):
    """Where the continuations of a batch are; on the devices.

    Attributes:
      step: how many tokens each row has that still goes on.
      logits: of the token that comes next.
      cache: of the tokens so far.
      done: rows that are not continued any more.
    """

    step: Int[Array, ""]
    logits: Float[Array, "batch vocab"]
    cache: Cache
    done: Bool[Array, " batch"]


class Tokens(NamedTuple):
    """What is new.

    Attributes:
      tokens: what follows a row's end means nothing.
      log_likelihoods: of each token, in nats, under the model as it is: temperature 1, nothing cut off.
    """

    tokens: Int[Array, "batch some"]
    log_likelihoods: Float[Array, "batch some"]


@dataclasses.dataclass(frozen=True)
class Advance:
    """What a program is compiled for.

    Attributes:
      count: tokens at a time.
      drawn: whether any row draws; else all take the most likely token.
      cut: whether any row that draws leaves out tokens (`top_k`, `top_p`), for which all must be sorted.
    """

    count: int
    drawn: bool
    cut: bool


def controls(samplings: Sequence[Sampling]) -> dict[str, np.ndarray]:
    """How the rows of a batch are continued, as the program takes it."""
    return {
        "temperature": np.asarray([each.temperature for each in samplings], np.float32),
        "top_k": np.asarray([each.top_k for each in samplings], np.int32),
        "top_p": np.asarray([each.top_p for each in samplings], np.float32),
        "keys": np.asarray([(each.seed, 0) for each in samplings], np.uint32),
        "most": np.asarray([each.max_new_tokens for each in samplings], np.int32),
    }


def begin(model: Flamingo, room: int, params: Params, prompts: Prompts) -> tuple[Prefix, Progress]:
    """Prompts go through the model, and get room for so many tokens each; the caller jits it."""
    logits, prefix = prefill(model, params, prompts)
    cache = empty_cache(model.config, len(logits), room)
    return prefix, Progress(jnp.zeros((), jnp.int32), logits, cache, jnp.zeros(len(logits), jnp.bool_))


def make_advance(model: Flamingo, how: Advance, stop_ids: Sequence[int]) -> Callable[..., tuple[Tokens, Progress]]:
    """The function of (parameters, prefix, progress, controls, wanted); the caller jits it.

    `wanted` [batch] tells the rows that anybody still waits for.
    """
    stops = jnp.asarray([*stop_ids], jnp.int32)

    def run(
        params: Params, prefix: Prefix, progress: Progress, controls: Mapping[str, Array], wanted: Bool[Array, " batch"]
    ) -> tuple[Tokens, Progress]:
        def pick(logits, step):
            if not how.drawn:
                return most_likely(logits)
            warm = controls["temperature"] > 0
            values = logits.astype(jnp.float32) / jnp.where(warm, controls["temperature"], 1)[:, None]
            if how.cut:
                values = kept_of_each(values, controls["top_k"], controls["top_p"])
            return jnp.where(warm, draw_from(values, None, controls["keys"], step), most_likely(logits))

        def more(carry):
            place, _, progress = carry
            return (place < how.count) & ~jnp.all(progress.done)

        def advance(carry):
            place, found, (step, logits, cache, done) = carry
            token = pick(logits, step)
            score = jnp.take_along_axis(jax.nn.log_softmax(logits, axis=-1), token[:, None], axis=-1)[:, 0]
            found = Tokens(found.tokens.at[:, place].set(token), found.log_likelihoods.at[:, place].set(score))
            done |= jnp.isin(token, stops) | (step + 1 >= controls["most"])
            logits, cache = jax.lax.cond(
                jnp.all(done),
                lambda: (logits, cache),
                lambda: extend(model, params, prefix, token[:, None], cache, step),
            )
            return place + 1, found, Progress(step + 1, logits, cache, done)

        batch = len(wanted)
        found = Tokens(jnp.zeros((batch, how.count), jnp.int32), jnp.zeros((batch, how.count), jnp.float32))
        progress = progress._replace(done=progress.done | ~wanted)
        _, found, progress = jax.lax.while_loop(more, advance, (jnp.zeros((), jnp.int32), found, progress))
        return found, progress

    return run
