"""What share of each chip's peak rate `flamingo_jax.plan` estimates for programs that ought to come close to it.

    python benchmarks/plan_peaks.py [CHIP ...] [--vmem KIB]

Large matrix products, among them those of the 80B model's layers on one of 16 chips of a tensor group, and a dense
transformer block, forward and backward. Needs libtpu (pip install 'flamingo-jax[plan]') and no TPU. The figures are in
benchmarks/README.md.
"""

import argparse
import os
import time

from flamingo_jax.parallel.topology import CHIPS, Topology, compiler_environment

os.environ.update(compiler_environment())

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.planning.estimate import Estimate, estimate

# Rows, contracted, columns.
PRODUCTS = (
    (4096, 4096, 4096),
    (8192, 8192, 8192),
    (16384, 16384, 16384),
    (8192, 8192, 2048),  # width 8192 to a sixteenth of the inner width 32768, and back
    (8192, 2048, 8192),
    (65536, 8192, 2048),
    (2048, 8192, 32768),
    (32768, 4096, 16384),
)
WIDTH, HEADS, INNER, BATCH, LENGTH = 8192, 64, 32768, 16, 512


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """One matrix product."""
    return a @ b


def block(weights: dict[str, jax.Array], x: jax.Array) -> jax.Array:
    """Causal self-attention and a feed-forward layer, each after a normalization."""
    heads = (*x.shape[:2], HEADS, WIDTH // HEADS)
    query, key, value = ((_normalized(x) @ weights[name]).reshape(heads) for name in "qkv")
    x = x + jax.nn.dot_product_attention(query, key, value, is_causal=True).reshape(x.shape) @ weights["out"]
    return x + jax.nn.gelu(_normalized(x) @ weights["up"]) @ weights["down"]


def forward_and_backward(weights: dict[str, jax.Array], x: jax.Array, gradient: jax.Array) -> tuple:
    """The block's output, and the gradients of its weights and its input."""
    output, backward = jax.vjp(block, weights, x)
    return output, backward(gradient)


def _normalized(x: jax.Array) -> jax.Array:
    wide = x.astype(jnp.float32)
    return (wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + 1e-6)).astype(x.dtype)


def estimated(function, arguments, topology: Topology, mesh: Mesh, options: dict[str, int]) -> Estimate:
    """For one chip; `arguments` is a tree of shapes, all bfloat16, `options` are the compiler's."""
    sharding = NamedSharding(mesh, PartitionSpec())
    structs = jax.tree.map(
        lambda shape: jax.ShapeDtypeStruct(shape, jnp.bfloat16, sharding=sharding),
        arguments,
        is_leaf=lambda each: isinstance(each, tuple) and isinstance(each[0], int),
    )
    return estimate(jax.jit(function).lower(*structs).compile(options or None).as_text(), topology, mesh)


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chips", nargs="*", metavar="CHIP", default=list(CHIPS), help=f"of {', '.join(CHIPS)}; all")
    parser.add_argument("--vmem", type=int, metavar="KIB", help="vector memory for a product's tiles")
    given = parser.parse_args()
    chips, options = given.chips, {"xla_tpu_scoped_vmem_limit_kib": given.vmem} if given.vmem else {}
    if unknown := set(chips) - CHIPS.keys():
        parser.error(f"unknown chips: {', '.join(sorted(unknown))}; there are {', '.join(CHIPS)}")
    square, x = (WIDTH, WIDTH), (BATCH, LENGTH, WIDTH)
    weights = {**dict.fromkeys(("q", "k", "v", "out"), square), "up": (WIDTH, INNER), "down": (INNER, WIDTH)}
    # 2 a weight and token forward, 4 backward; scores and their use 2 products each of all queries and keys.
    block_flops = BATCH * LENGTH * (6 * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 12 * LENGTH * WIDTH)
    programs = [(f"{m} x {k} x {n}", product, ((m, k), (k, n)), 2 * m * k * n) for m, k, n in PRODUCTS]
    programs.append(("block, forward and backward", forward_and_backward, (weights, x, x), block_flops))
    for name in chips:
        chip = CHIPS[name]
        topology = Topology(chip, (2, 2, 1)[: chip.dimensions])
        mesh = Mesh(np.array(topology.devices()[:1]), ("x",))
        for title, function, arguments, flops in programs:
            start = time.monotonic()
            found = estimated(function, arguments, topology, mesh, options)
            share = flops / found.step_seconds / chip.peak_flops
            print(
                f"{name:4s} {title:28s} {share:.3f} of peak; counted {found.hardware_flops / flops:.3f} of the "
                f"mathematics' FLOPs; copies {found.copy_seconds / found.compute_seconds:.3f} of the compute time; "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
