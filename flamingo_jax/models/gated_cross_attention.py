"""The GATED XATTN-DENSE block (Flamingo, section 2.2): how a frozen language model comes to see."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from flamingo_jax.models.attention import attention
from flamingo_jax.models.layers import LayerNorm, Projection, activation, scaled_init

MediaKeyValue = dict[str, Float[Array, "batch keys heads head_dim"]]


@dataclasses.dataclass(frozen=True)
class GatedCrossAttentionConfig:
    """Defaults are the paper's; the remarks say where OpenFlamingo differs.

    Attributes:
      num_heads: attention heads (paper: those of the language model; OpenFlamingo: 8).
      head_dim: size of a key (paper: 128; OpenFlamingo: 64).
      hidden_multiplier: width of the dense branch over that of the language model.
      activation: of the dense branch (paper: squared_relu; OpenFlamingo: gelu).
      gate_init: the gates' raw value at the start; tanh of it scales a branch. 0 makes the model the language model.
      output_init_scale: factor on the initial output projections of both branches.
      normalize_media: layer norm on the visual tokens, shared by keys and values (OpenFlamingo: none).
      norm_eps: of the layer norms (not stated in the paper; PyTorch's default, as in OpenFlamingo).
    """

    num_heads: int
    head_dim: int = 128
    hidden_multiplier: int = 4
    activation: str = "squared_relu"
    gate_init: float = 0.0
    output_init_scale: float = 1.0
    normalize_media: bool = True
    norm_eps: float = 1e-5


class GatedCrossAttentionBlock(nn.Module):
    """`y += tanh(a) xattn(norm(y), media)`, then `y += tanh(b) dense(norm(y))`; a and b are learned scalars."""

    config: GatedCrossAttentionConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        y: Float[Array, "batch length width"],
        media: Float[Array, "batch keys visual_width"] | None,
        media_mask: Bool[Array, "batch 1 length keys"],
        key_value: MediaKeyValue | None = None,
    ) -> tuple[Float[Array, "batch length width"], MediaKeyValue]:
        """Returns the new text states, and the keys and values of the media, for later tokens to reuse as `key_value`.

        With `key_value` given, `media` is not looked at.
        """
        config, width = self.config, y.shape[-1]

        def project(features, axes, name, **options):
            return Projection(features, axes, dtype=self.dtype, name=name, **options)

        heads, output_init = (config.num_heads, config.head_dim), scaled_init(config.output_init_scale)
        if key_value is None:
            if config.normalize_media:
                media = LayerNorm(config.norm_eps, self.dtype, name="media_norm")(media)
            axes = ("visual_embed", "heads", "head_dim")
            key_value = {"key": project(heads, axes, "key")(media), "value": project(heads, axes, "value")(media)}

        states = LayerNorm(config.norm_eps, self.dtype, name="query_norm")(y)
        query = project(heads, ("embed", "heads", "head_dim"), "query")(states)
        attended = attention(query, key_value["key"], key_value["value"], media_mask)
        output = project((width,), ("heads", "head_dim", "embed"), "output", contracted=2, kernel_init=output_init)
        y = y + self._gate("attention_gate") * output(attended)

        states = LayerNorm(config.norm_eps, self.dtype, name="dense_norm")(y)
        states = project((width * config.hidden_multiplier,), ("embed", "mlp"), "dense_in")(states)
        states = activation(config.activation)(states)
        states = project((width,), ("mlp", "embed"), "dense_out", kernel_init=output_init)(states)
        return y + self._gate("dense_gate") * states, key_value

    def _gate(self, name: str) -> Float[Array, ""]:
        raw = self.param(name, nn.initializers.constant(self.config.gate_init), (), jnp.float32)
        return jnp.tanh(raw).astype(self.dtype)
