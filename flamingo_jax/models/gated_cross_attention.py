"""The GATED XATTN-DENSE block (Flamingo, section 2.2): how a frozen language model comes to see."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from flamingo_jax.models.attention import attention
from flamingo_jax.models.layers import NORMS, Projection, activation, scaled_init
from flamingo_jax.models.masks import Mask
from flamingo_jax.models.remat import keep
from flamingo_jax.models.sharding import constrain, text_states

MediaKeyValue = dict[str, Float[Array, "batch keys heads head_dim"]]
GATES = ("tanh", "none")


@dataclasses.dataclass(frozen=True)
class GatedCrossAttentionConfig:
    """Defaults are the paper's; the remarks say where OpenFlamingo and IDEFICS differ.

    Attributes:
      num_heads: attention heads (paper, IDEFICS: those of the language model; OpenFlamingo: 8).
      head_dim: size of a key (paper: 128; OpenFlamingo: 64).
      hidden_multiplier: width of the dense branch over that of the language model (IDEFICS: 2.6875, its language
        model's).
      activation: of the dense branch (paper: squared_relu; OpenFlamingo: gelu; IDEFICS: silu).
      gate: "tanh", or "none" for the paper's ablation without gates.
      gate_per_channel: a gate is a vector and not a scalar (an option of IDEFICS).
      gate_init: the gates' raw value at the start; tanh of it scales a branch. 0 makes the model the language model.
      output_init_scale: factor on the initial output projections of both branches.
      dense: whether there is a dense branch (the ablation's "vanilla" cross-attention has none).
      gated_dense: the dense branch is `out(act(gate(x)) * in(x))` (IDEFICS).
      norm: "layer" with scale and bias, or "rms" (IDEFICS).
      qk_norm: an RMS norm over each head of queries and keys (IDEFICS).
      normalize_media: norm on the visual tokens, shared by keys and values (OpenFlamingo, IDEFICS: none).
      norm_eps: of the norms (not stated in the paper; PyTorch's default, as in OpenFlamingo).
    """

    num_heads: int
    head_dim: int = 128
    hidden_multiplier: float = 4
    activation: str = "squared_relu"
    gate: str = "tanh"
    gate_per_channel: bool = False
    gate_init: float = 0.0
    output_init_scale: float = 1.0
    dense: bool = True
    gated_dense: bool = False
    norm: str = "layer"
    qk_norm: bool = False
    normalize_media: bool = True
    norm_eps: float = 1e-5

    def __post_init__(self):
        for name, known in (("gate", GATES), ("norm", ("layer", "rms"))):
            if getattr(self, name) not in known:
                listed = " or ".join(map(repr, known))
                raise ValueError(f"GatedCrossAttentionConfig.{name} is {listed}, got {getattr(self, name)!r}")
        activation(self.activation)

    def hidden_width(self, width: int) -> int:
        """Of the dense branch, beside a language model of `width`."""
        return round(width * self.hidden_multiplier)


class GatedCrossAttentionBlock(nn.Module):
    """`y += tanh(a) xattn(norm(y), media)`, then `y += tanh(b) dense(norm(y))`; a and b are learned.

    Attributes:
      attention: the kernel, see `attention_kernels`.
    """

    config: GatedCrossAttentionConfig
    dtype: jnp.dtype = jnp.float32
    attention: str = "xla"

    @nn.compact
    def __call__(
        self,
        y: Float[Array, "batch length width"],
        media: Float[Array, "batch keys visual_width"] | None,
        media_mask: Mask,
        key_value: MediaKeyValue | None = None,
    ) -> tuple[Float[Array, "batch length width"], MediaKeyValue]:
        """Returns the new text states, and the keys and values of the media, for later tokens to reuse as `key_value`.

        With `key_value` given, `media` is not looked at. It may have fewer rows than there are of text: as many
        neighbours then share one, and `media_mask` has their queries one after the other in one row.
        """
        key_value = self._key_value(media) if key_value is None else key_value
        attended = self._attend(self._norm("query_norm")(y), key_value, media_mask)
        y = keep(text_states(y + self._gated("attention_gate", attended)), "branched")
        if self.config.dense:
            y = text_states(y + self._gated("dense_gate", self._dense(self._norm("dense_norm")(y))))
        return y, key_value

    def _key_value(self, media: Float[Array, "batch keys visual_width"]) -> MediaKeyValue:
        if self.config.normalize_media:
            media = self._norm("media_norm", "visual_embed")(media)
        heads, axes = self._heads, ("visual_embed", "heads", "head_dim")
        key, value = self._project(heads, axes, "key")(media), self._project(heads, axes, "value")(media)
        key, value = (constrain(x, "batch", None, "heads", None) for x in (key, value))
        key, value = keep(key, "key"), keep(value, "value")
        return {"key": self._head_norm("key_head_norm")(key), "value": value}

    def _attend(self, states, key_value: MediaKeyValue, mask):
        query = self._project(self._heads, ("embed", "heads", "head_dim"), "query")(states)
        query = keep(constrain(query, "batch", None, "heads", None), "query")
        query = self._head_norm("query_head_norm")(query)
        shape, rows = query.shape, len(key_value["key"])
        query = query.reshape(rows, -1, *shape[2:])
        attended = attention(query, key_value["key"], key_value["value"], mask, kernel=self.attention).reshape(shape)
        attended = constrain(attended, "batch", None, "heads", None)
        axes, init = ("heads", "head_dim", "embed"), self._output_init
        return self._project((states.shape[-1],), axes, "output", contracted=2, kernel_init=init)(
            keep(attended, "attended")
        )

    def _dense(self, states):
        config, width = self.config, states.shape[-1]
        hidden, axes, act = (config.hidden_width(width),), ("embed", "mlp"), activation(config.activation)

        def widened(name):
            return keep(constrain(self._project(hidden, axes, name)(states), "batch", None, "mlp"), "hidden")

        inner = widened("dense_in")
        inner = act(widened("dense_gate_in")) * inner if config.gated_dense else act(inner)
        return self._project((width,), ("mlp", "embed"), "dense_out", kernel_init=self._output_init)(inner)

    @property
    def _heads(self) -> tuple[int, int]:
        return self.config.num_heads, self.config.head_dim

    @property
    def _output_init(self):
        return scaled_init(self.config.output_init_scale)

    def _project(self, features, axes, name, **options) -> Projection:
        return Projection(features, axes, dtype=self.dtype, name=name, **options)

    def _norm(self, name: str, axis: str = "embed") -> nn.Module:
        return NORMS[self.config.norm](self.config.norm_eps, self.dtype, axis=axis, name=name)

    def _head_norm(self, name: str):
        if not self.config.qk_norm:
            return lambda x: x
        return NORMS["rms"](self.config.norm_eps, self.dtype, axis="head_dim", name=name)

    def _gated(self, name: str, branch: Float[Array, "batch length width"]):
        config = self.config
        if config.gate == "none":
            return branch
        shape, axes = ((branch.shape[-1],), ("embed",)) if config.gate_per_channel else ((), ())
        init = nn.with_logical_partitioning(nn.initializers.constant(config.gate_init), axes)
        return jnp.tanh(self.param(name, init, shape, jnp.float32)).astype(self.dtype) * branch
