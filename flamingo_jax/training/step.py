"""One update: the gradient of each dataset in turn, weighted and summed, then the optimizer (paper, section 3.4)."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool

from flamingo_jax.data.example import DATASET_KEY
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.models.sharding import constrain
from flamingo_jax.training.encoding import encode_together
from flamingo_jax.training.freezing import merge
from flamingo_jax.training.health import DEFAULT, HealthConfig, applied_or_kept, judge, judge_gates
from flamingo_jax.training.joining import join_datasets
from flamingo_jax.training.measures import gates, norms
from flamingo_jax.training.state import Params, TrainState

Batch = Mapping[str, Mapping[str, Array]]
MODEL_INPUTS = (
    *("tokens", "segment_ids", "positions", "image_index", "image_first"),
    *("images", "features", "frame_mask", "media"),
)


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


@dataclasses.dataclass(frozen=True)
class StepOptions:
    """How a step is computed; none of it changes what it computes.

    Attributes:
      joined: groups of datasets that go through the language model together, see `training.joining`; each other one
        goes by itself. Memory of activations is that of the largest group.
      microbatches: dataset (or group, as "a+b", or "merged") -> in how many equal parts its batch is taken, one after
        the other: memory of activations is that of a part. 1 for those not named.
      loss_chunk: positions whose logits are held at a time, see `models.losses.token_losses`; 0: all.
      image_chunk: images that each device puts through a frozen encoder at a time; 0: all.
      shardings: of the accumulated gradient, a tree like the trainable parameters; None: as XLA likes.
      image_ranges: whether a token of any dataset may see more than one image. Without, `image_first` is known to be
        `image_index`, and attention kernels need not look at it.
      labels: trainable parameter's path -> label under which norms of gradients and updates are measured.
    """

    joined: tuple[tuple[str, ...], ...] = ()
    microbatches: Mapping[str, int] = dataclasses.field(default_factory=dict)
    loss_chunk: int = 0
    image_chunk: int = 0
    shardings: Any = None
    image_ranges: bool = True
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)


def passes(names: Iterable[str], joined: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """What goes through the language model in turn: the name of each pass, "a" or "a+b", and its datasets."""
    group_of = {name: tuple(group) for group in joined for name in group}
    groups = dict.fromkeys(group_of.get(name, (name,)) for name in names)
    return {"+".join(group): group for group in groups}


def model_inputs(batch: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a sub-batch that the model reads."""
    return {"images": None, "frame_mask": None} | {name: batch[name] for name in MODEL_INPUTS if name in batch}


def _rows_by_dataset(name: str, batch: Mapping[str, Array], names: Sequence[str]) -> dict[str, Bool[Array, "#batch"]]:
    """Which rows of a batch are of which dataset: all of the one that it is named for, unless it says otherwise."""
    if DATASET_KEY not in batch:
        return {name: jnp.ones(1, bool)}
    return {each: batch[DATASET_KEY] == place for place, each in enumerate(names)}


def make_step(
    model: Flamingo,
    optimizer: optax.GradientTransformation,
    rate: optax.Schedule,
    loss: LossConfig,
    options: StepOptions = StepOptions(),
    health: HealthConfig = DEFAULT,
) -> Callable[[TrainState, Params, Batch], tuple[TrainState, dict[str, Array]]]:
    """The pure function `(state, frozen, batch) -> (state, metrics)`; the caller jits it.

    Only trainable leaves are differentiated: frozen ones have neither gradient nor optimizer state. The gradients of
    the batches are taken one after the other and accumulated, so peak memory is that of the largest. A batch is of one
    dataset, or of all (see `flamingo_jax.data.merging`); the objective is the same. The step is compiled once for each
    set of datasets and shapes that come.

    An update that `health` finds bad is not applied: parameters and optimizer stay as they are, and the step counts.
    """

    def objective(trainable: Params, frozen: Params, parts: Batch, divisors: Mapping):
        """Of some rows of the datasets of a pass; and the sum of the targets' losses by dataset."""
        variables = as_variables(merge(trainable, frozen))
        ((name, batch),) = parts.items() if len(parts) == 1 else [("", join(variables, parts))]
        inputs = model_inputs(batch)
        if not options.image_ranges:
            inputs.pop("image_first", None)
        losses = model.apply(variables, **inputs, loss_chunk=options.loss_chunk)
        rows_of = _rows_by_dataset(name, batch, list(loss.weights))
        sums = {each: jnp.sum(jnp.where(batch["loss_mask"] & rows_of[each][:, None], losses, 0.0)) for each in divisors}
        return sum(loss.weights[each] * sums[each] / divisors[each] for each in sums), sums

    def join(variables: Mapping[str, Params], parts: Batch) -> dict[str, Any]:
        encode = functools.partial(model.apply, variables, method="encode_images")
        return join_datasets(parts, encode, list(loss.weights))

    differentiated = jax.value_and_grad(objective, has_aux=True)

    def laid_out(gradient: Params) -> Params:
        return gradient if options.shardings is None else jax.lax.with_sharding_constraint(gradient, options.shardings)

    def accumulate(carry: tuple, trainable: Params, frozen: Params, name: str, parts: Batch):
        """Adds a pass's gradient to `carry` = (objective, gradient); gives that and the mean losses of its tokens."""
        counts, divisors = {}, {}
        for dataset, batch in parts.items():
            for each, rows in _rows_by_dataset(dataset, batch, list(loss.weights)).items():
                # A batch without a target has loss 0, not 0 / 0.
                counts[each] = jnp.maximum(jnp.sum(batch["loss_mask"] & rows[:, None]), 1)
                documents = jnp.where(rows, jnp.max(batch["segment_ids"], axis=1), 0)
                divisors[each] = counts[each] if loss.per == "token" else jnp.maximum(jnp.sum(documents), 1)

        def body(carry: tuple, some: Batch) -> tuple[tuple, None]:
            total, gradient, sums = carry
            (value, found), more = differentiated(trainable, frozen, some, divisors)
            return (
                total + value,
                laid_out(jax.tree.map(jnp.add, gradient, more)),
                jax.tree.map(jnp.add, sums, found),
            ), None

        carry = (*carry, {each: jnp.zeros(()) for each in counts})
        count = options.microbatches.get(name, 1)
        carry = body(carry, parts)[0] if count == 1 else jax.lax.scan(body, carry, _cut(parts, count))[0]
        return carry[:2], {f"loss/{each}": total / counts[each] for each, total in carry[2].items()}

    def step(state: TrainState, frozen: Params, batch: Batch) -> tuple[TrainState, dict[str, Array]]:
        metrics: dict[str, Array] = {}
        if "vision_encoder" in frozen and "vision_encoder" not in state.params:
            variables = as_variables(frozen)
            batch = encode_together(
                lambda x: model.apply(variables, x, method="encode_pixels"), batch, options.image_chunk
            )
        carry = jnp.zeros(()), laid_out(jax.tree.map(jnp.zeros_like, state.params))
        for name, datasets in passes(batch, options.joined).items():
            parts = {each: batch[each] for each in datasets}
            carry, means = accumulate(carry, state.params, frozen, name, parts)
            metrics |= means
        total, gradient = carry
        metrics |= {"loss": total, "grad_norm": optax.tree.norm(gradient)}
        applied, flags, watched = judge(health, state.health, metrics)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        metrics |= norms("grad_norm", gradient, options.labels) | norms("update_norm", updates, options.labels)
        params, opt_state = applied_or_kept(
            applied, (optax.apply_updates(state.params, updates), opt_state), (state.params, state.opt_state)
        )
        opened = gates(params)
        metrics |= {
            # The optimizer has taken one step less for each update that was not applied.
            "learning_rate": rate(state.step - state.health.skipped),
            "skipped_updates": watched.skipped,
            "health": flags + judge_gates(health, opened),
        }
        return TrainState(state.step + 1, params, opt_state, watched), metrics | opened

    return step


def _cut(parts: Batch, count: int) -> Batch:
    """Arrays `[rows, ...]` as `[count, rows / count, ...]`, every `count`-th row in a part: a device cuts its own."""

    def cut(array: Array) -> Array:
        parts = jnp.swapaxes(array.reshape(-1, count, *array.shape[1:]), 0, 1)
        return constrain(parts, None, "batch", *(None for _ in array.shape[1:]))

    return jax.tree.map(cut, {name: dict(batch) for name, batch in parts.items()})
