"""One update: the gradient of each dataset in turn, weighted and summed, then the optimizer (paper, section 3.4)."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.freezing import merge
from flamingo_jax.training.state import Params, TrainState

Batch = Mapping[str, Mapping[str, Array]]
MODEL_INPUTS = ("tokens", "segment_ids", "positions", "image_index", "image_first", "images", "frame_mask")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """The objective.

    Attributes:
      weights: dataset -> its lambda, in the order of the mixture.
      per: "sequence" sums the losses of a sequence's tokens and takes the mean over sequences, as the paper's equation
        does; every document of a packed row is a sequence. "token" takes the mean over all tokens, so that a dataset's
        share does not grow with its length (as OpenFlamingo does).
    """

    weights: Mapping[str, float]
    per: str = "sequence"

    def __post_init__(self):
        if self.per not in ("sequence", "token"):
            raise ValueError(f"LossConfig.per is {self.per!r}; it is 'sequence' or 'token'")


def token_losses(
    logits: Float[Array, "batch length vocab"], tokens: Int[Array, "batch length"]
) -> Float[Array, "batch length"]:
    """Negative log-likelihood (nats) of each token given those before it; 0 for the first of a row."""
    scores = logits[:, :-1].astype(jnp.float32)
    picked = jnp.take_along_axis(scores, tokens[:, 1:, None], axis=-1)[..., 0]
    return jnp.pad(jax.nn.logsumexp(scores, axis=-1) - picked, ((0, 0), (1, 0)))


def model_inputs(batch: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a sub-batch that the model reads."""
    return {name: batch[name] for name in MODEL_INPUTS if name in batch}


def masked_sum(losses: Float[Array, "batch length"], mask: Bool[Array, "batch length"]):
    """Sum of the losses of target tokens, and their number."""
    return jnp.sum(jnp.where(mask, losses, 0.0)), jnp.sum(mask)


def _rows_by_dataset(name: str, batch: Mapping[str, Array], names: Sequence[str]) -> dict[str, Bool[Array, "#batch"]]:
    """Which rows of a batch are of which dataset: all of the one that it is named for, unless it says otherwise."""
    if DATASET_KEY not in batch:
        return {name: jnp.ones(1, bool)}
    return {each: batch[DATASET_KEY] == place for place, each in enumerate(names)}


def make_step(
    model: Flamingo, optimizer: optax.GradientTransformation, rate: optax.Schedule, loss: LossConfig
) -> Callable[[TrainState, Params, Batch], tuple[TrainState, dict[str, Array]]]:
    """The pure function `(state, frozen, batch) -> (state, metrics)`; the caller jits it.

    Only trainable leaves are differentiated: frozen ones have neither gradient nor optimizer state. The gradients of
    the batches are taken one after the other and accumulated, so peak memory is that of the largest. A batch is of one
    dataset, or of all (see `flamingo_jax.data.merging`); the objective is the same. The step is compiled once for each
    set of datasets and shapes that come.
    """

    def weighted_loss(trainable: Params, frozen: Params, name: str, batch: Mapping[str, Array]):
        logits = model.apply({"params": merge(trainable, frozen)}, **model_inputs(batch))
        losses, documents = token_losses(logits, batch["tokens"]), jnp.max(batch["segment_ids"], axis=1)
        value, means = jnp.zeros(()), {}
        for each, rows in _rows_by_dataset(name, batch, list(loss.weights)).items():
            total, count = masked_sum(losses, batch["loss_mask"] & rows[:, None])
            # A batch without a target has loss 0, not 0 / 0.
            means[f"loss/{each}"] = mean = total / jnp.maximum(count, 1)
            sequences = jnp.maximum(jnp.sum(jnp.where(rows, documents, 0)), 1)
            value = value + loss.weights[each] * (mean if loss.per == "token" else total / sequences)
        return value, means

    def step(state: TrainState, frozen: Params, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
        metrics: dict[str, Array] = {}
        total, gradient = jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.params)
        differentiated = jax.value_and_grad(weighted_loss, has_aux=True)
        for name, part in batch.items():
            (value, means), part_gradient = differentiated(state.params, frozen, name, part)
            total, gradient = total + value, jax.tree.map(jnp.add, gradient, part_gradient)
            metrics |= means
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics |= {"loss": total, "grad_norm": optax.tree.norm(gradient), "learning_rate": rate(state.step)}
        return TrainState(state.step + 1, params, opt_state), metrics | gates(params)

    return step


def gates(params: Params) -> dict[str, Any]:
    """How far each gated cross-attention block is open: tanh of its gates (the mean, if a vector), bottom first."""
    language, found = params.get("language_model", {}), {}
    for kind in ("attention", "dense"):
        blocks = []
        for part in ("groups", "tail", "graft"):
            raw = language.get(part, {}).get("gated_cross_attention", {}).get(f"{kind}_gate")
            if raw is not None:
                blocks.append(jnp.tanh(raw).reshape(1 if part == "tail" else raw.shape[0], -1).mean(axis=1))
        if blocks:
            opened = jnp.concatenate(blocks)
            found |= {f"gate/{kind}/{layer}": opened[layer] for layer in range(opened.shape[0])}
    return found
