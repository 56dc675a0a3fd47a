"""A decoder-only language model, with or without gated cross-attention blocks between its layers.

The same module is the text-only language model (a plan without blocks) and Flamingo's (a plan with them), so freezing
and loading know one layout. Layers are scanned: the program does not grow with depth.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionBlock, GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Cache, Context, DecoderLayer, LayerData, layer_data
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.language.positions import relative_encoding
from flamingo_jax.models.language.table import Table
from flamingo_jax.models.layers import NORMS
from flamingo_jax.models.losses import token_losses
from flamingo_jax.models.quantized import SCALES, scale_of
from flamingo_jax.models.remat import rematerialized
from flamingo_jax.models.sharding import text_states


def _scan(module: type[nn.Module], length: int, axis: str = "layers", unroll: bool = False) -> Any:
    """`module` stacked `length` times: parameters, caches and layer data get a leading axis, the context is shared.

    Args:
      unroll: the program holds the module `length` times, and not once in a loop.
    """
    return nn.scan(
        module,
        variable_axes={"params": 0, SCALES: 0},
        split_rngs={"params": True},
        in_axes=(nn.broadcast, 0, 0),
        out_axes=0,
        length=length,
        unroll=length if unroll else 1,
        metadata_params={nn.PARTITION_NAME: axis},
    )


class DecoderGroup(nn.Module):
    """One gated cross-attention block and the `length` decoder layers that it serves."""

    config: DecoderConfig
    cross_attention: GatedCrossAttentionConfig
    length: int
    dtype: jnp.dtype = jnp.float32
    remat: str = "none"
    attention: str = "xla"
    unroll: bool = False

    @nn.compact
    def __call__(self, x, context: Context, cache: Cache | None, data: LayerData):
        """The cache's `media` holds the block's keys and values; without it they are made from `context.media`, and the
        cache that is returned has them."""
        known = None if cache is None else cache.get("media")
        block = rematerialized(GatedCrossAttentionBlock, self.remat, scanned=False)
        kernel = self.attention if known is None else "xla"
        block = block(self.cross_attention, self.dtype, kernel, name="gated_cross_attention")
        x, media = block(x, context.media, context.media_mask, known)
        layer = rematerialized(DecoderLayer, self.remat, scanned=True)
        layers = _scan(layer, self.length, unroll=self.unroll)(self.config, self.dtype, self.attention, name="layers")
        x, layer_cache = layers(x, context, None if cache is None else cache["layers"], data["layers"])
        if cache is None:
            return x, None
        return x, {"layers": layer_cache} | ({"media": media} if known is None else {})


class Decoder(nn.Module):
    """Tokens (and visual tokens) in, logits out.

    Attributes:
      plan: where the gated cross-attention blocks stand; `LayerPlan(num_layers)` for none.
      cross_attention: their config, needed if there are any.
      num_new_tokens: tokens appended to the vocabulary, with embedding rows of their own (`new_rows`).
      new_rows_init_std: their initial standard deviation (not stated in the paper).
      attention: the kernel, see `attention_kernels`; of tokens that follow a prompt, XLA's.
      unroll: of the layers of a group, see `FlamingoConfig`.
    """

    config: DecoderConfig
    plan: LayerPlan
    cross_attention: GatedCrossAttentionConfig | None = None
    num_new_tokens: int = 0
    new_rows_init_std: float = 0.02
    dtype: jnp.dtype = jnp.float32
    remat: str = "none"
    attention: str = "xla"
    unroll: bool = False

    @nn.compact
    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        context: Context,
        cache: Cache | None = None,
        last_only: bool = False,
        loss_chunk: int | None = None,
    ) -> tuple[Float[Array, "batch length vocab"] | Float[Array, "batch length"], Cache | None]:
        """Logits are float32, over the pretrained vocabulary and then the new tokens.

        Args:
          last_only: the last position's logits alone (`length` 1).
          loss_chunk: the loss of each token instead of logits, as `losses.token_losses` has it, from the logits of so
            many positions at a time; 0: of all at once.
        """
        config, plan = self.config, self.plan
        if plan.num_layers != config.num_layers:
            raise ValueError(f"the plan has {plan.num_layers} layers, the decoder {config.num_layers}")
        embedding = self._table("embedding", "vocab", config.vocab_size)
        new_rows = self._new_rows("new_rows")
        outputs, new_outputs = embedding, new_rows
        if not config.tied_embeddings:
            outputs = self._table("output_embedding", "vocab", config.vocab_size)
            new_outputs = self._new_rows("new_output_rows")

        x = _look_up(tokens, embedding, new_rows).astype(self.dtype) * config.embedding_scale
        if config.positions == "learned":
            places = self._table("position_embedding", "positions", config.max_length + config.position_offset)
            x += places.rows(context.positions + config.position_offset).astype(self.dtype)
        x = text_states(x)
        context = _with_distances(context, config)
        data, new_cache = _grouped_data(config, plan), {}
        for name, part in self._parts().items():
            x, new_cache[name] = part(x, context, None if cache is None else cache[name], data[name])

        if last_only:
            x = x[:, -1:]
        x = NORMS[config.norm](config.norm_eps, self.dtype, name="final_norm")(x)
        tables = [table for table in (outputs, new_outputs) if table is not None]

        def logits(states):
            found = [table.logits(states) for table in tables]
            cap = config.logit_softcap
            return [cap * jnp.tanh(part / cap) if cap else part for part in found]

        if loss_chunk is not None:
            return token_losses(logits, x, tokens, loss_chunk), None
        return jnp.concatenate(logits(x), axis=-1), None if cache is None else new_cache

    def _parts(self) -> dict[str, nn.Module]:
        """The parts of the plan that there are, from the bottom up."""
        plan, parts = self.plan, {}
        group = {
            "config": self.config,
            "cross_attention": self.cross_attention,
            "dtype": self.dtype,
            "remat": self.remat,
            "attention": self.attention,
        }
        if plan.head:
            layer = rematerialized(DecoderLayer, self.remat, scanned=True)
            parts["head"] = _scan(layer, plan.head)(self.config, self.dtype, self.attention, name="head")
        if plan.groups:
            parts["groups"] = _scan(DecoderGroup, plan.groups, "groups")(
                length=plan.every, unroll=self.unroll, name="groups", **group
            )
        if plan.tail:
            parts["tail"] = DecoderGroup(length=plan.tail, name="tail", **group)
        if plan.graft:
            parts["graft"] = _scan(DecoderGroup, plan.graft, "groups")(length=1, name="graft", **group)
        return parts

    def _table(self, name: str, axis: str, rows: int) -> Table:
        axes, shape = (axis, "embed"), (rows, self.config.width)
        rows = self.param(name, nn.with_logical_partitioning(nn.initializers.normal(0.02), axes), shape, jnp.float32)
        # Each row is a channel: of the output in the product that makes logits, of its own in a look-up.
        return Table(rows, scale_of(self, name, shape, axes, summed=(1,)))

    def _new_rows(self, name: str) -> Table | None:
        if not self.num_new_tokens:
            return None
        init = nn.with_logical_partitioning(nn.initializers.normal(self.new_rows_init_std), ("new_tokens", "embed"))
        return Table(self.param(name, init, (self.num_new_tokens, self.config.width), jnp.float32), None)


def _with_distances(context: Context, config: DecoderConfig) -> Context:
    length, keys = context.self_mask.shape[-2:]
    slots = context.slot + jnp.arange(length)
    context = context._replace(distance=slots[:, None] - jnp.arange(keys))
    if config.positions != "relative":
        return context
    return context._replace(relative=relative_encoding(length, keys, context.slot, config.width))


def _grouped_data(config: DecoderConfig, plan: LayerPlan) -> LayerData:
    """`layer_data`, cut like the layers; grafted layers take those of as many layers from the bottom."""
    data = plan.group(layer_data(config, config.num_layers))
    if plan.graft:
        data["graft"] = {"layers": {name: x[:, None] for name, x in layer_data(config, plan.graft).items()}}
    return data


def _look_up(tokens, embedding: Table, new_rows: Table | None):
    """Rows of the pretrained table, or of the new one for tokens past its end."""
    vocab_size = embedding.table.shape[0]
    rows = embedding.rows(jnp.minimum(tokens, vocab_size - 1))
    if new_rows is None:
        return rows
    fresh = new_rows.rows(jnp.clip(tokens - vocab_size, 0, new_rows.table.shape[0] - 1))
    return jnp.where((tokens >= vocab_size)[..., None], fresh.astype(rows.dtype), rows)
