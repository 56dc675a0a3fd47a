"""One layer of a decoder."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from flamingo_jax.models.attention import attention
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.positions import alibi_slopes, relative_scores, rotary, rotary_frequencies
from flamingo_jax.models.layers import NORMS, Projection, activation
from flamingo_jax.models.masks import Mask
from flamingo_jax.models.remat import keep
from flamingo_jax.models.sharding import constrain, text_states
from flamingo_jax.models.shared_prefix import attention_after

Cache = dict[str, Any]
LayerData = dict[str, Any]


class Context(NamedTuple):
    """What every layer needs beside the text states.

    Attributes:
      positions, self_mask: of the tokens; the mask says who may see whom, windows aside.
      slot: the cache slot of the first token; those of a shared prefix come first.
      media, media_mask: visual tokens, and who sees them.
      distance, relative: filled in by the decoder: slots from key to query, and the encodings of relative positions.
    """

    positions: Int[Array, "batch length"]
    self_mask: Mask
    slot: Int[Array, ""] | int = 0
    media: Float[Array, "batch keys visual_width"] | None = None
    media_mask: Mask | None = None
    distance: Int[Array, "length keys"] | None = None
    relative: Float[Array, "keys width"] | None = None


def layer_data(config: DecoderConfig, num_layers: int) -> LayerData:
    """What differs between the layers and is not learned, stacked `[num_layers, ...]`."""
    windows = [config.layer_windows[layer % config.num_layers] for layer in range(num_layers)]
    data = {}
    if any(windows):
        data["window"] = np.asarray([window or np.iinfo(np.int32).max for window in windows], np.int32)
    if config.positions == "rotary":
        data["frequencies"] = np.stack([rotary_frequencies(config, window) for window in windows])
    return data


class DecoderLayer(nn.Module):
    """`x += attention(norm(x))`, then `x += dense(norm(x))`, as the config has it.

    Attributes:
      attention: the kernel, see `attention_kernels`.
    """

    config: DecoderConfig
    dtype: jnp.dtype = jnp.float32
    attention: str = "xla"

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length width"], context: Context, cache: Cache | None, data: LayerData
    ) -> tuple[Float[Array, "batch length width"], Cache | None]:
        """With a cache (`key` and `value`, `[batch, slots, kv_heads, head_dim]`) keys are those of all its slots.

        Its `prefix`, if there is one, holds the keys and values of slots before those, which neighbouring rows share
        (see `models.shared_prefix`); it is not written, nor returned.
        """
        attended, cache = self._attend(self._norm("attention_norm")(x), context, cache, data)
        attended = self._post_norm("attention_post_norm")(attended)
        # In parallel layers the dense branch does not see what attention found.
        y = x if self.config.parallel_residual else keep(text_states(x + attended), "branched")
        dense = self._post_norm("dense_post_norm")(self._dense(self._norm("dense_norm")(y)))
        return text_states(x + attended + dense), cache

    def _attend(self, states, context: Context, cache: Cache | None, data: LayerData):
        config = self.config

        def heads(count, axis, name):
            axes, bias = ("embed", axis, "head_dim"), config.qkv_bias
            return self._project((count, config.head_dim), axes, name, use_bias=bias)(states)

        query = heads(config.num_heads, "heads", "query")
        key, value = (heads(config.num_kv_heads, "kv_heads", name) for name in ("key", "value"))
        query = constrain(query, "batch", None, "heads", None)
        key, value = (constrain(x, "batch", None, "kv_heads", None) for x in (key, value))
        query, key, value = (keep(x, name) for x, name in ((query, "query"), (key, "key"), (value, "value")))
        if config.qkv_clip:
            query, key, value = (jnp.clip(x, -config.qkv_clip, config.qkv_clip) for x in (query, key, value))
        if config.qk_norm:
            query, key = self._qk_norm("query_norm", query), self._qk_norm("key_norm", key)
        if config.positions == "rotary":
            query, key = (rotary(x, context.positions, data["frequencies"]) for x in (query, key))
        prefix = None if cache is None else cache.get("prefix")
        if cache is not None:
            start = (0, context.slot - (0 if prefix is None else prefix["key"].shape[1]), 0, 0)
            key = jax.lax.dynamic_update_slice(cache["key"], key, start)
            value = jax.lax.dynamic_update_slice(cache["value"], value, start)
            cache = {"key": key, "value": value}
        scale = config.attention_scale or config.head_dim**-0.5
        query, bias = self._bias(query, context, scale)
        mask, softcap = self._mask(context, data), config.attention_softcap
        if prefix is None:
            attended = attention(query, key, value, mask, bias, scale, softcap, self.attention)
        else:
            attended = attention_after(prefix, query, key, value, mask, bias, scale, softcap)
        attended = constrain(attended, "batch", None, "heads", None)
        axes = ("heads", "head_dim", "embed")
        output = self._project((config.width,), axes, "output", contracted=2, use_bias=config.output_bias)
        return output(keep(attended, "attended")), cache

    def _mask(self, context: Context, data: LayerData) -> Mask:
        """Who sees whom in this layer. Windows are known to the compiler where that is possible: kernels need it."""
        keys = context.self_mask.shape[-1]
        windows = {window if window < keys else 0 for window in self.config.layer_windows}
        if windows == {0}:
            return context.self_mask
        return context.self_mask.within(windows.pop() if len(windows) == 1 else data["window"])

    def _bias(self, query, context: Context, scale: float):
        """The query, and what positions add to the scores."""
        config = self.config
        if config.positions == "alibi":
            slopes = alibi_slopes(config.num_heads, config.alibi_max)[:, None, None]
            return query, -(slopes * context.distance)[None]
        if config.positions == "relative":
            shape = (config.num_heads, config.head_dim)
            content, position = (
                self.param(name, nn.with_logical_partitioning(nn.initializers.zeros, ("heads", "head_dim")), shape)
                for name in ("content_bias", "position_bias")
            )
            way = self._project(shape, ("embed", "heads", "head_dim"), "relative_key")(context.relative)
            scores = relative_scores(query + position.astype(query.dtype), way) * scale
            # The axes that positions bring along are none that scores are to be cut by.
            scores = constrain(scores, "batch", "heads", None, None)
            return query + content.astype(query.dtype), keep(scores, "bias")
        return query, None

    def _dense(self, states):
        config = self.config
        bias = {"use_bias": config.dense_bias}

        def widened(name):
            hidden = self._project((config.hidden_width,), ("embed", "mlp"), name, **bias)(states)
            return keep(constrain(hidden, "batch", None, "mlp"), "hidden")

        up, act = widened("up"), activation(config.activation)
        hidden = act(widened("gate")) * up if config.gated_dense else act(up)
        return self._project((config.width,), ("mlp", "embed"), "down", **bias)(hidden)

    def _project(self, features, axes, name, **options):
        return Projection(features, axes, dtype=self.dtype, name=name, **options)

    def _norm(self, name: str, **options) -> nn.Module:
        return NORMS[self.config.norm](self.config.norm_eps, self.dtype, name=name, **options)

    def _post_norm(self, name: str):
        return self._norm(name) if self.config.post_norms else lambda x: x

    def _qk_norm(self, name: str, x: Float[Array, "batch length heads head_dim"]):
        if self.config.qk_norm == "head":
            return self._norm(name, axis="head_dim")(x)
        return self._norm(name, axis="heads")(x.reshape(*x.shape[:2], -1)).reshape(x.shape)
