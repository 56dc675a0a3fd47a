"""Model FLOPs of a step: the work that the model asks for, however it is computed.

The definition, after Kaplan et al. (2020) and Chowdhery et al. (2022, appendix B), for a model whose parts are frozen:

- A parameter of a matrix product takes 2 FLOPs for each position that goes through it in the forward pass, and 2 more
  in the backward pass for the gradient of what goes in. A trainable one takes another 2 for its own gradient. So a
  frozen one of the language model takes 4 a token, a trainable one 6.
- Where nothing that goes in depends on a trainable parameter, no gradient passes, and a frozen parameter takes 2. That
  is the whole vision encoder. Layers of the language model below the first cross-attention block stand above the
  embeddings of new tokens, which train, and take 4 (2 if there are no new tokens).
- Positions are all of the batch, padding too: rows x length for the language model, rows x images x latents for the
  visual projection and the blocks' keys and values, features and latents for what they go through in the resampler.
- A table takes part as the output's matrix and not as a look-up; norms, biases and gates take nothing.
- Attention's products of queries, keys and values are not counted, but for those of the vision encoder, which is
  counted with all its products and convolutions, times the images (three times that, should it train).
- The projection of relative positions (Chinchilla's) counts for each token, like any other parameter of the language
  model, though a step takes it once for all rows. `ModelFlops.shared` is that count: take it off for what is executed.
- Nothing that is computed again (`remat`, `loss_chunk`) counts twice.

The positions are not written down here: they are read off the trace of the model's forward pass.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.params import module_of
from flamingo_jax.training.products import Product, Value, products
from flamingo_jax.training.state import abstract_params
from flamingo_jax.training.step import Batch, model_inputs

_ENCODER, _LANGUAGE = "vision_encoder", "language_model"
_FORWARD, _AND_INPUT, _AND_WEIGHT = 1, 2, 3  # passes of 2 FLOPs a parameter and position


@dataclasses.dataclass(frozen=True)
class ModelFlops:
    """Of one step.

    Attributes:
      modules: module -> FLOPs.
      shared: the part of them that the definition counts for each token, but a step takes once for all rows.
    """

    modules: Mapping[str, float]
    shared: float

    @property
    def total(self) -> float:
        return sum(self.modules.values())


def model_flops(config: FlamingoConfig, labels: Mapping[str, str], batch: Batch) -> ModelFlops:
    """The model FLOPs of one step.

    Args:
      labels: parameter path -> label, "frozen" among them.
      batch: dataset -> arrays, of which only the shapes are looked at.
    """
    # Kernels and rematerialization are how, not what; those of accelerators cannot be traced everywhere either.
    model = Flamingo(dataclasses.replace(config, attention="xla", remat="none", dtype="float32"))
    params = nn.meta.unbox(abstract_params(model))
    modules: dict[str, float] = {}
    shared = 0.0
    for part in batch.values():
        inputs = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in model_inputs(part).items()}
        tokens = inputs["tokens"].size
        for product in _of_parameters(model, params, labels, inputs):
            passes = _passes(product, labels)
            flops = passes * product.flops * product.count
            if module_of(product.weight) == _LANGUAGE and not product.varies:
                # Of constants: relative positions. Their gradient passes like that of the others' inputs.
                flops = max(passes, _AND_INPUT) * 2 * product.size * product.count * tokens
                shared += flops
            module = module_of(product.weight)
            modules[module] = modules.get(module, 0) + flops
        if images := inputs["frame_mask"].size:
            trained = any(name != FROZEN for path, name in labels.items() if path.startswith(f"{_ENCODER}/"))
            passes = _AND_WEIGHT if trained else _FORWARD
            flops = images * encoder_flops(config, params[_ENCODER], inputs["images"].shape[-3:], weights=False)
            modules[_ENCODER] = modules.get(_ENCODER, 0) + passes * flops
    return ModelFlops(modules, shared)


def encoder_flops(config: FlamingoConfig, params: Any, shape: tuple[int, ...], weights: bool = True) -> float:
    """FLOPs of the vision encoder's forward pass over one image of `shape` (height, width, 3).

    Args:
      params: its parameters' shapes.
      weights: whether to count products with parameters, or only those among activations.
    """
    module, image = config.vision.make(jnp.float32), jax.ShapeDtypeStruct((1, *shape), jnp.uint8)
    closed = jax.make_jaxpr(lambda params, image: module.apply({"params": params}, image))(params, image)
    known = [Value(weight=_ENCODER)] * (len(closed.jaxpr.invars) - 1) + [Value(varies=True)]
    return sum(each.flops * each.count for each in products(closed, known) if weights or not each.weight)


def _of_parameters(
    model: Flamingo, params: Any, labels: Mapping[str, str], inputs: Mapping[str, jax.ShapeDtypeStruct]
) -> list[Product]:
    """The products with parameters in the model's forward pass."""

    def forward(params: Any, inputs: Mapping[str, Any]) -> Any:
        return model.apply({"params": params}, **inputs, loss_chunk=0)

    paths = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(params)]
    known = [Value(weight=path, active=labels[path] != FROZEN) for path in paths]
    known += [Value(varies=True) for _ in inputs]
    return [each for each in products(jax.make_jaxpr(forward)(params, dict(inputs)), known) if each.weight]


def _passes(product: Product, labels: Mapping[str, str]) -> int:
    if labels[product.weight] != FROZEN:
        return _AND_WEIGHT
    return _AND_INPUT if product.active else _FORWARD
