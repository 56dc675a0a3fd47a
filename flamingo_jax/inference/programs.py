"""The compiled functions of a model on a mesh."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int, UInt8

from flamingo_jax.inference.advancing import Advance, Progress, Tokens, begin, make_advance
from flamingo_jax.inference.beam import make_beam
from flamingo_jax.inference.candidates import make_candidate_scorer
from flamingo_jax.inference.continuing import Continuations, make_continuing
from flamingo_jax.inference.decoding import BEAM, Decoding
from flamingo_jax.inference.pooling import pooled_features
from flamingo_jax.inference.prefill import Prefix, prefill
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.models.sharding import parts_of
from flamingo_jax.parallel.rules import Rules, batch_sharding, replicated
from flamingo_jax.training.state import Params
from flamingo_jax.training.step import model_inputs

_ENCODE, _POOL, _PREFILL, _SCORE, _LOSSES = "encode", "pool", "prefill", "score", "losses"


@dataclasses.dataclass(frozen=True)
class Programs:
    """What a session runs. Rows of every batch are cut over the mesh as in training; a program is compiled at the first
    batch of its shapes.

    Attributes:
      mesh, rules: of the training run.
      stop_ids: tokens that end a continuation.
    """

    model: Flamingo
    mesh: Mesh
    rules: Rules
    stop_ids: tuple[int, ...]

    @property
    def parts(self) -> int:
        """What the number of rows, and of images, must be a multiple of."""
        with self._scope():
            return max(parts_of("batch"), parts_of("image_batch"))

    def encode(
        self,
        params: Params,
        images: UInt8[np.ndarray, "count 1 frames size size 3"],
        frame_mask: Bool[np.ndarray, "count 1 frames"],
    ) -> Float[np.ndarray, "count latents visual_width"]:
        """Visual tokens of pictures or clips."""
        return np.asarray(self._run(_ENCODE, params, images, frame_mask))

    def pooled(
        self,
        params: Params,
        images: UInt8[np.ndarray, "count frames size size 3"],
        frame_mask: Bool[np.ndarray, "count frames"],
    ) -> Float[np.ndarray, "count width"]:
        """The vision encoder's output, see `pooled_features`."""
        return np.asarray(self._run(_POOL, params, images, frame_mask))

    def continued(self, params: Params, prompts: Mapping[str, np.ndarray], decoding: Decoding) -> Continuations:
        """What follows prompts, see `prefill.Prompts`."""
        alike = dataclasses.replace(decoding, seed=0)  # which comes with the prompts
        return jax.device_get(self._run(alike, params, prompts))

    def prefill(self, params: Params, prompts: Mapping[str, np.ndarray]) -> tuple[Float[Array, "batch vocab"], Prefix]:
        """As `prefill.prefill`; what it gives stays on the devices."""
        return self._run(_PREFILL, params, prompts)

    def score(
        self,
        params: Params,
        prefix: Prefix,
        logits: Float[Array, "batch vocab"],
        tokens: Int[np.ndarray, "batch candidates length"],
        counts: Int[np.ndarray, "batch candidates"],
    ) -> Float[Array, "batch candidates"]:
        """Log-likelihoods of candidates, see `make_candidate_scorer`; they may still be under way."""
        return self._run(_SCORE, params, prefix, logits, tokens, counts)

    def losses(self, params: Params, batch: Mapping[str, np.ndarray]) -> Float[np.ndarray, "batch length"]:
        """The negative log-likelihood, in nats, of each token of rows as training has them; any number of rows."""
        inputs = {name: array for name, array in model_inputs(batch).items() if array is not None}
        count = len(inputs["tokens"])
        filling = -count % self.parts
        filled = {name: np.concatenate([x, x[:1].repeat(filling, axis=0)]) for name, x in inputs.items()}
        return np.asarray(self._run(_LOSSES, params, filled))[:count]

    def begin(self, params: Params, prompts: Mapping[str, np.ndarray], room: int) -> tuple[Prefix, Progress]:
        """As `advancing.begin`; what it gives stays on the devices."""
        return self._run(_Begin(room), params, prompts)

    def advance(
        self,
        params: Params,
        prefix: Prefix,
        progress: Progress,
        controls: Mapping[str, np.ndarray],
        wanted: Bool[np.ndarray, " batch"],
        how: Advance,
    ) -> tuple[Tokens, Progress]:
        """The next tokens of each row, see `make_advance`. `progress` is used up."""
        tokens, progress = self._run(how, params, prefix, progress, controls, wanted)
        return jax.device_get(tokens), progress

    def _run(self, what: "_What", params: Params, *inputs: Any) -> Any:
        placed = jax.tree.map(lambda x: self._place(x) if isinstance(x, np.ndarray) else x, inputs)
        with self._scope():
            return _compiled(self, what)(params, *placed)

    def _place(self, array: np.ndarray) -> jax.Array:
        """Rows over the mesh; of several processes all have the whole array."""
        sharding = batch_sharding(self.mesh, self.rules)
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        with nn.logical_axis_rules(self.rules), jax.set_mesh(self.mesh):
            yield


@dataclasses.dataclass(frozen=True)
class _Begin:
    """The beginning of what `advance` goes on with.

    Attributes:
      room: for so many tokens.
    """

    room: int


_What = str | Decoding | _Begin | Advance


@functools.lru_cache(maxsize=32)
def _compiled(programs: Programs, what: _What) -> Callable:
    """One function for each scope, as the rules in force when it is traced are in the program.

    What hosts read is on all devices in the end: of several processes each needs all of it.
    """
    model = programs.model
    if what == _PREFILL:
        return jax.jit(functools.partial(prefill, model))
    if isinstance(what, _Begin):
        return jax.jit(functools.partial(begin, model, what.room))
    if isinstance(what, Advance):
        make = make_advance(model, what, programs.stop_ids)
        return jax.jit(make, out_shardings=(replicated(programs.mesh), None), donate_argnums=2)
    read = functools.partial(jax.jit, out_shardings=replicated(programs.mesh))
    if isinstance(what, Decoding):
        make = make_beam if what.method == BEAM else make_continuing
        return read(make(model, what, programs.stop_ids))
    if what == _POOL:
        return read(functools.partial(pooled_features, model))
    if what == _SCORE:
        return read(make_candidate_scorer(model))
    if what == _LOSSES:
        return read(lambda params, batch: model.apply(as_variables(params), **model_inputs(batch), loss_chunk=0))
    return read(lambda params, images, mask: model.apply(as_variables(params), images, mask, method="encode_images"))
