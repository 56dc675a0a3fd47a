"""Attention kernels that never write the scores out, for accelerators; JAX ships them all.

| | `xla` | `cudnn` | `flash` | `splash` |
| --- | --- | --- | --- | --- |
| runs on | all | NVIDIA GPUs | TPUs | TPUs |
| computes in | any dtype | bfloat16, float16 | any | any |
| documents, padding, one image a token | yes | as a bias, `[batch, 1, length, keys]` | yes | yes |
| a range of images a token | yes | so too | as a bias, `[batch, heads, length, keys]` | by XLA |
| windows shorter than a row, the same in all layers | yes | so too | as a bias | yes |
| windows shorter than a row, that differ between layers | yes | so too | as a bias | by XLA |
| ALiBi, relative scores | yes | rounded to the dtype | yes | by XLA |
| capped scores | yes | by XLA | by XLA | yes |
| heads that share keys | yes | yes | yes, repeated | yes |
| new tokens after a prompt | yes | by XLA | by XLA | by XLA |

"As a bias" is a tensor in memory: what costs as much as scores gains little. Windows that no row reaches past do not
count. The kernels are `jax.nn.dot_product_attention(implementation="cudnn")` and, of `jax.experimental.pallas.ops.tpu`,
`flash_attention` and `splash_attention`.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flamingo_jax.models.masks import Mask
from flamingo_jax.models.sharding import spec

XLA = "xla"
_PLATFORMS = {XLA: None, "cudnn": "gpu", "flash": "tpu", "splash": "tpu"}
KERNELS = tuple(_PLATFORMS)

# Pallas' kernels take blocks of whole registers, 128 lanes wide. 512 is the largest block that leaves room on the chip
# for heads of 256 channels and a bias in float32.
_LANES, _LARGEST_BLOCK = 128, 512
# cuDNN takes even lengths and, as rows of 16 bytes, 8 channels of two bytes each.
_CUDNN_MULTIPLE = 8
# Far below any score, and far enough from the end of float32 to be scaled.
_UNSEEN = -1e30
# Segments that nothing is equal to: of queries and keys that are padding.
_NO_QUERY, _NO_KEY = -2, -1
_AXES = {
    "query": ("batch", None, "heads", None),
    "key": ("batch", None, "kv_heads", None),
    "value": ("batch", None, "kv_heads", None),
    "bias": ("batch", "heads", None, None),
    "mask": ("batch", None, None, None),
    "query_segments": ("batch", None),
    "key_segments": ("batch", None),
}


def runs_on(kernel: str, platform: str) -> bool:
    """Whether a kernel is for devices of this `platform` ("cpu", "gpu", "tpu")."""
    return _PLATFORMS[kernel] in (None, platform)


def can(kernel: str, mask: Mask, bias: bool, softcap: float) -> bool:
    """Whether the kernel, and not XLA, does such a call: see the table. Known when the program is traced."""
    *_, length, keys = mask.shape
    if kernel == XLA or not keys or mask.offset is not None or (mask.causal and length != keys):
        return False
    if kernel == "splash":
        return not bias and mask.first is None and (mask.window is None or isinstance(mask.window, int))
    return not softcap


def run(
    kernel: str,
    query: Float[Array, "batch length heads head_dim"],
    key: Float[Array, "batch keys kv_heads head_dim"],
    value: Float[Array, "batch keys kv_heads head_dim"],
    mask: Mask,
    bias: Float[Array, "#batch heads length keys"] | None,
    scale: float,
    softcap: float,
) -> Float[Array, "batch length heads head_dim"]:
    """What `can` says it can; queries that see nothing get any finite number, and their gradients must be stopped.

    On a mesh each device runs the kernel on its own rows and heads, as the sharding rules in force lay out axes of the
    names "batch", "heads" and "kv_heads": the compiler cannot cut a kernel.
    """
    arrays = {"query": query, "key": key, "value": value, "bias": bias}
    if kernel == "cudnn" or (kernel == "flash" and (mask.first is not None or mask.window is not None)):
        # Who sees nothing may see all here: what comes of it is not used, and scores stay far from the end of float32.
        seen = mask.dense()
        arrays["mask"] = seen | ~jnp.any(seen, axis=-1, keepdims=True)
    else:
        arrays["query_segments"], arrays["key_segments"] = map(jnp.asarray, (mask.query_segments, mask.key_segments))
    facts: dict[str, Any] = {"scale": scale, "causal": mask.causal}
    if kernel == "splash":
        facts |= {"window": mask.window, "softcap": softcap}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    return _on_shards(functools.partial(_RUN[kernel], **facts), arrays)


def _on_shards(call: Callable[..., Array], arrays: dict[str, Array]) -> Array:
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return call(**arrays)
    specs = {name: spec(array.shape, *_AXES[name]) for name, array in arrays.items()}
    if specs["query"] != specs["key"]:  # too few keys' heads to be cut like those of the queries
        groups = arrays["query"].shape[2] // arrays["key"].shape[2]
        arrays |= {name: jnp.repeat(arrays[name], groups, axis=2) for name in ("key", "value")}
        specs |= dict.fromkeys(("key", "value"), specs["query"])
    # Pallas' outputs do not say over which mesh axes they vary.
    mapped = jax.shard_map(lambda given: call(**given), in_specs=(specs,), out_specs=specs["query"], check_vma=False)
    return mapped(arrays)


def _flash(query, key, value, *, scale, causal, bias=None, mask=None, query_segments=None, key_segments=None):
    flash = importlib.import_module("jax.experimental.pallas.ops.tpu.flash_attention")
    batch, length, heads, head_dim = query.shape
    key, value = (jnp.repeat(x, heads // x.shape[2], axis=2) for x in (key, value))
    if mask is not None:
        bias = jnp.where(mask, 0.0 if bias is None else bias, _UNSEEN)
    query, key, value = (_padded(_padded(x, 1), 3, above=_LANES).swapaxes(1, 2) for x in (query, key, value))
    rows, keys = query.shape[2], key.shape[2]
    if bias is not None:
        # The kernel scales its bias with the scores.
        bias = jnp.broadcast_to(bias.astype(jnp.float32) / scale, (batch, heads, *bias.shape[2:]))
        bias = _padded(_padded(bias, 2), 3, fill=_UNSEEN)
    segments = None
    if query_segments is not None:
        segments = flash.SegmentIds(*_segments(query_segments, key_segments, batch))
    q, k = _block(rows), _block(keys)
    blocks = flash.BlockSizes(
        block_b=1,
        block_q=q,
        block_k_major=k,
        block_k=k,
        block_q_major_dkv=q,
        block_q_dkv=q,
        block_k_major_dkv=k,
        block_k_dkv=k,
        block_q_dq=q,
        block_k_major_dq=k,
        block_k_dq=k,
    )
    attended = flash.flash_attention(
        query, key, value, bias, segments, causal=causal, sm_scale=scale, block_sizes=blocks
    )
    return attended.swapaxes(1, 2)[:, :length, :, :head_dim]


def _splash(query, key, value, *, query_segments, key_segments, scale, causal, window, softcap):
    package = "jax.experimental.pallas.ops.tpu.splash_attention.splash_attention"
    splash, masks = (importlib.import_module(f"{package}_{part}") for part in ("kernel", "mask"))
    batch, length, heads, head_dim = query.shape
    query = (query.astype(jnp.float32) * scale).astype(query.dtype)  # the kernel has no scale
    query, key, value = (_padded(_padded(x, 1), 3, above=_LANES).swapaxes(1, 2) for x in (query, key, value))
    shape = query.shape[2], key.shape[2]
    if window is not None:
        seen = masks.LocalMask(shape, (window - 1, 0 if causal else None), 0)
    else:
        seen = masks.CausalMask(shape) if causal else masks.FullMask(shape)
    q, k = map(_block, shape)
    call = splash.make_splash_mha(
        masks.MultiHeadMask([seen] * heads),
        block_sizes=splash.BlockSizes(
            block_q=q, block_kv=k, block_q_dkv=q, block_kv_dkv=k, block_q_dq=q, block_kv_dq=k
        ),
        attn_logits_soft_cap=softcap or None,
        head_shards=1,
        q_seq_shards=1,
    )
    segments = splash.SegmentIds(*_segments(query_segments, key_segments, batch))
    return jax.vmap(call)(query, key, value, segments).swapaxes(1, 2)[:, :length, :, :head_dim]


def _cudnn(query, key, value, *, mask, scale, causal, bias=None):
    length, head_dim = query.shape[1], query.shape[3]

    def padded(x, *axes):
        for axis in axes:
            x = _padded(x, axis, multiple=_CUDNN_MULTIPLE)
        return x

    attended = jax.nn.dot_product_attention(
        *(padded(x, 1, 3) for x in (query, key, value)),
        bias=None if bias is None else padded(bias.astype(query.dtype), 2, 3),
        mask=padded(mask, 2, 3),
        scale=scale,
        is_causal=causal,
        implementation="cudnn",
    )
    return attended[:, :length, :, :head_dim]


_RUN = {"cudnn": _cudnn, "flash": _flash, "splash": _splash}


def _segments(
    queries: Int[Array, "batch length"], keys: Int[Array, "#batch keys"], batch: int
) -> tuple[Int[Array, "batch rows"], Int[Array, "batch columns"]]:
    """What a kernel compares: nothing sees, or is seen, in segment 0 and in what fills the last block."""
    keys = jnp.broadcast_to(keys, (batch, keys.shape[1]))
    queries, keys = jnp.where(queries > 0, queries, _NO_QUERY), jnp.where(keys > 0, keys, _NO_KEY)
    return _padded(queries, 1, fill=_NO_QUERY), _padded(keys, 1, fill=_NO_KEY)


def _padded(x: Array, axis: int, multiple: int = _LANES, fill: float = 0, above: int = 0) -> Array:
    """`x` with `fill` at the end of an axis, up to the next multiple, if it is longer than `above`."""
    missing = -x.shape[axis] % multiple if x.shape[axis] > above else 0
    return jnp.pad(x, [(0, missing if place == axis else 0) for place in range(x.ndim)], constant_values=fill)


def _block(length: int) -> int:
    """The largest block that divides a padded length."""
    return next(block for block in range(_LARGEST_BLOCK, 0, -_LANES) if length % block == 0)
