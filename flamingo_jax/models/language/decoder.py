"""A Llama-family decoder, with or without gated cross-attention blocks between its layers.

The same module is the text-only language model (a plan without blocks) and Flamingo's (a plan with them), so freezing
and loading know one layout. Layers are scanned: the program does not grow with depth.
"""

import dataclasses
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from flamingo_jax.models.attention import attention, rotary
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionBlock, GatedCrossAttentionConfig
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.layers import Projection, RMSNorm, activation

Cache = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder with rotary positions, grouped-query attention and a gated dense branch.

    Attributes:
      vocab_size: rows of the pretrained embedding table (new tokens are not among them).
      width, num_layers, num_heads, num_kv_heads, head_dim, hidden_width: sizes.
      rope_theta: base of the rotary frequencies.
      norm_eps: of the RMS norms.
      tied_embeddings: the output projection is the embedding table.
      activation: of the dense branch's gate.
      max_length: the context it was trained with, in tokens.
    """

    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    hidden_width: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied_embeddings: bool = True
    activation: str = "silu"
    max_length: int = 2048


class Context(NamedTuple):
    """What every layer needs beside the text states; `slot` is the cache slot of the first token."""

    positions: Int[Array, "batch length"]
    self_mask: Bool[Array, "batch 1 length keys"]
    slot: Int[Array, ""] | int = 0
    media: Float[Array, "batch keys visual_width"] | None = None
    media_mask: Bool[Array, "batch 1 length keys"] | None = None


class DecoderLayer(nn.Module):
    """`x += attention(norm(x))`, then `x += down(act(gate(norm(x))) * up(norm(x)))`."""

    config: DecoderConfig
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch length width"], context: Context, cache: Cache | None = None
    ) -> tuple[Float[Array, "batch length width"], Cache | None]:
        """With a cache (`key` and `value`, `[batch, slots, kv_heads, head_dim]`) keys are those of all its slots."""
        config = self.config

        def project(features, axes, name, contracted=1):
            return Projection(features, axes, contracted, self.dtype, name=name)

        def norm(name):
            return RMSNorm(config.norm_eps, self.dtype, name=name)

        states = norm("attention_norm")(x)
        kv_heads, kv_axes = (config.num_kv_heads, config.head_dim), ("embed", "kv_heads", "head_dim")
        query = project((config.num_heads, config.head_dim), ("embed", "heads", "head_dim"), "query")(states)
        query = rotary(query, context.positions, config.rope_theta)
        key = rotary(project(kv_heads, kv_axes, "key")(states), context.positions, config.rope_theta)
        value = project(kv_heads, kv_axes, "value")(states)
        if cache is not None:
            start = (0, context.slot, 0, 0)
            key = jax.lax.dynamic_update_slice(cache["key"], key, start)
            value = jax.lax.dynamic_update_slice(cache["value"], value, start)
            cache = {"key": key, "value": value}
        attended = attention(query, key, value, context.self_mask)
        x = x + project((config.width,), ("heads", "head_dim", "embed"), "output", contracted=2)(attended)

        states = norm("dense_norm")(x)
        gate = activation(config.activation)(project((config.hidden_width,), ("embed", "mlp"), "gate")(states))
        up = project((config.hidden_width,), ("embed", "mlp"), "up")(states)
        return x + project((config.width,), ("mlp", "embed"), "down")(gate * up), cache


def _scan(module: type[nn.Module], length: int, axis: str = "layers") -> Any:
    """`module` stacked `length` times: parameters and caches get a leading axis, the context is shared."""
    return nn.scan(
        module,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=(nn.broadcast, 0),
        out_axes=0,
        length=length,
        metadata_params={nn.PARTITION_NAME: axis},
    )


class DecoderGroup(nn.Module):
    """One gated cross-attention block and the `length` decoder layers that it serves."""

    config: DecoderConfig
    cross_attention: GatedCrossAttentionConfig
    length: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x, context: Context, cache: Cache | None = None):
        """The cache's `media` holds the block's keys and values; without it they are made from `context.media`."""
        block = GatedCrossAttentionBlock(self.cross_attention, self.dtype, name="gated_cross_attention")
        x, media = block(x, context.media, context.media_mask, None if cache is None else cache.get("media"))
        layers = _scan(DecoderLayer, self.length)(self.config, self.dtype, name="layers")
        x, layer_cache = layers(x, context, None if cache is None else cache["layers"])
        return x, None if cache is None else {"layers": layer_cache, "media": media}


class Decoder(nn.Module):
    """Tokens (and visual tokens) in, logits out.

    Attributes:
      plan: where the gated cross-attention blocks stand; `LayerPlan(num_layers)` for none.
      cross_attention: their config, needed if there are any.
      num_new_tokens: tokens appended to the vocabulary, with embedding rows of their own (`new_rows`).
      new_rows_init_std: their initial standard deviation (not stated in the paper).
    """

    config: DecoderConfig
    plan: LayerPlan
    cross_attention: GatedCrossAttentionConfig | None = None
    num_new_tokens: int = 0
    new_rows_init_std: float = 0.02
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        context: Context,
        cache: Cache | None = None,
        last_only: bool = False,
    ) -> tuple[Float[Array, "batch length vocab"], Cache | None]:
        """Logits are float32, over the pretrained vocabulary and then the new tokens.

        `last_only` gives the last position's logits alone (`length` 1).
        """
        config, plan = self.config, self.plan
        if plan.num_layers != config.num_layers:
            raise ValueError(f"the plan has {plan.num_layers} layers, the decoder {config.num_layers}")
        init = nn.with_logical_partitioning(nn.initializers.normal(0.02), ("vocab", "embed"))
        embedding = self.param("embedding", init, (config.vocab_size, config.width), jnp.float32)
        outputs = embedding
        if not config.tied_embeddings:
            outputs = self.param("output_embedding", init, (config.vocab_size, config.width), jnp.float32)
        new_rows = new_outputs = self._new_rows("new_rows")
        if new_rows is not None and not config.tied_embeddings:
            new_outputs = self._new_rows("new_output_rows")

        x = _look_up(tokens, embedding, new_rows).astype(self.dtype)
        x = nn.with_logical_constraint(x, ("batch", "length", "activation_embed"))
        parts = [("head", plan.head and _scan(DecoderLayer, plan.head)(config, self.dtype, name="head"))]
        group = {"config": config, "cross_attention": self.cross_attention, "dtype": self.dtype}
        parts.append(
            (
                "groups",
                plan.groups and _scan(DecoderGroup, plan.groups, "groups")(length=plan.every, name="groups", **group),
            )
        )
        parts.append(("tail", plan.tail and DecoderGroup(length=plan.tail, name="tail", **group)))
        new_cache = {}
        for name, part in parts:
            if part:
                x, new_cache[name] = part(x, context, None if cache is None else cache[name])

        if last_only:
            x = x[:, -1:]
        x = RMSNorm(config.norm_eps, self.dtype, name="final_norm")(x)
        logits = [_logits(x, table) for table in (outputs, new_outputs) if table is not None]
        return jnp.concatenate(logits, axis=-1), None if cache is None else new_cache

    def _new_rows(self, name: str) -> Float[Array, "new width"] | None:
        if not self.num_new_tokens:
            return None
        init = nn.with_logical_partitioning(nn.initializers.normal(self.new_rows_init_std), ("new_tokens", "embed"))
        return self.param(name, init, (self.num_new_tokens, self.config.width), jnp.float32)


def _look_up(tokens, embedding, new_rows):
    """Rows of the pretrained table, or of the new one for tokens past its end."""
    vocab_size = embedding.shape[0]
    rows = embedding[jnp.minimum(tokens, vocab_size - 1)]
    if new_rows is None:
        return rows
    fresh = new_rows[jnp.clip(tokens - vocab_size, 0, new_rows.shape[0] - 1)]
    return jnp.where((tokens >= vocab_size)[..., None], fresh.astype(rows.dtype), rows)


def _logits(x: Float[Array, "batch length width"], table: Float[Array, "vocab width"]):
    return jnp.einsum("blw,vw->blv", x, table.astype(x.dtype), preferred_element_type=jnp.float32)
