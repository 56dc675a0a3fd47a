"""Attention on meshes; run by test_attention_kernels_on_devices.py in a process of its own. Prints one JSON line.

`compiled`: what the compiler makes of each kernel and its gradients for four TPUs. `difference`: how far eight
simulated devices, on which the kernels are interpreted, are from the reference on one.
"""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.experimental import pallas as pl
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.models.attention import attention
from flamingo_jax.models.masks import causal_mask, image_causal_mask

RULES = (("batch", "data"), ("heads", "tensor"), ("kv_heads", "tensor"))
# Rows, tokens, keys, heads, heads of keys, channels: documents, and images. Some have too few heads of keys to be cut.
SHAPES = {
    "documents": (4, 256, 256, 4, 2, 128),
    "one key": (4, 64, 64, 4, 1, 64),
    "images": (4, 256, 320, 4, 4, 128),
    "pairs": (4, 32, 64, 4, 4, 64),
}


def loss(name, kernel):
    def run(query, key, value, segments):
        keys = key.shape[1]
        mask = image_causal_mask(segments, keys // 64, 64) if name in ("images", "pairs") else causal_mask(segments)
        return jnp.sum(attention(query, key, value, mask, kernel=kernel).astype(jnp.float32) ** 2)

    return jax.jit(jax.value_and_grad(run, (0, 1, 2)))


def arguments(name, mesh, dtype):
    """Shapes and shardings."""
    rows, length, keys, heads, kv_heads, head_dim = SHAPES[name]
    parts = mesh.shape["tensor"]
    shapes = [(rows, length, heads, head_dim), *[(rows, keys, kv_heads, head_dim)] * 2]
    specs = [PartitionSpec("data", None, None if shape[2] % parts else "tensor") for shape in shapes]
    whole = zip([*shapes, (rows, length)], [*specs, PartitionSpec("data")], [dtype] * 3 + [jnp.int32], strict=True)
    return [jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, spec)) for shape, spec, dtype in whole]


def compiled(kernel, mesh) -> dict[str, list[int]]:
    """Calls of a kernel, and of an all-gather, in each program."""
    report = {}
    for name in SHAPES:
        with nn.logical_axis_rules(RULES), jax.set_mesh(mesh):
            text = loss(name, kernel).lower(*arguments(name, mesh, jnp.bfloat16)).compile().as_text()
        report[name] = [text.count('custom_call_target="tpu_custom_call"'), text.count(" all-gather(")]
    return report


def difference(kernel, mesh) -> dict[str, float]:
    report, rng = {}, np.random.default_rng(0)
    for name in ("documents", "one key"):
        given = [rng.normal(size=x.shape).astype(np.float32) for x in arguments(name, mesh, jnp.float32)[:3]]
        segments = np.sort(rng.integers(0, 4, given[0].shape[:2]), axis=1).astype(np.int32)
        expected = jax.tree.leaves(loss(name, "xla")(*given, segments))
        with nn.logical_axis_rules(RULES), jax.set_mesh(mesh):
            shardings = [x.sharding for x in arguments(name, mesh, jnp.float32)]
            found = jax.tree.leaves(loss(name, kernel)(*jax.device_put([*given, segments], shardings)))
        scale = [max(1.0, float(jnp.abs(x).max())) for x in expected]
        off = [float(np.abs(np.asarray(x) - y).max()) / s for x, y, s in zip(found, expected, scale, strict=True)]
        report[name] = max(off)
    return report


def main() -> None:
    report = {"compiled": {}, "difference": {}}
    if importlib.util.find_spec("libtpu"):
        devices = topologies.get_topology_desc("v5p:2x2x1", platform="tpu").devices
        mesh = Mesh(np.asarray(devices).reshape(2, 2), ("data", "tensor"))
        report["compiled"] = {kernel: compiled(kernel, mesh) for kernel in ("flash", "splash")}
    jax.clear_caches()
    call = pl.pallas_call
    pl.pallas_call = lambda *given, **options: call(*given, **options | {"interpret": True})
    mesh = Mesh(np.asarray(jax.devices()).reshape(4, 2), ("data", "tensor"))
    report["difference"] = {kernel: difference(kernel, mesh) for kernel in ("flash", "splash")}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
