"""Log-likelihoods of given tokens."""

import functools
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jaxtyping import Array, Float

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.training.state import Params
from flamingo_jax.training.step import model_inputs


@functools.lru_cache(maxsize=8)
def make_scorer(model: Flamingo) -> Callable[[Params, Mapping[str, Array]], Float[Array, "batch length"]]:
    """The compiled function of (parameters, the model's inputs): negative log-likelihood of each token, in nats."""

    def score(params: Params, batch: Mapping[str, Array]) -> Float[Array, "batch length"]:
        return model.apply(as_variables(params), **model_inputs(batch), loss_chunk=0)

    return jax.jit(score)


def mean_over(losses: Float[np.ndarray, "batch length"], mask: np.ndarray) -> tuple[float, Float[np.ndarray, "batch"]]:
    """The mean over all masked tokens, and over each row's (NaN where a row has none)."""
    mask = np.asarray(mask, bool)
    counts = mask.sum(axis=1)
    sums = np.where(mask, losses, 0).sum(axis=1)
    rows = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return float(sums.sum() / max(counts.sum(), 1)), rows
