import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from flamingo_jax.planning.estimate import estimate
from tests.planning import tpu

pytestmark = tpu.needs_libtpu
MB = 2**20


def per_chip(mesh, function, inside, outside):
    """`function` of each chip's own part."""
    return jax.shard_map(function, mesh=mesh, in_specs=inside, out_specs=outside, check_vma=False)


# Of bf16[4096, 4096], 32 MiB, on 4 x 4 chips without rings: each call's kind, axes, and MiB that a chip sends; every
# chip has 8 MiB of an array that is sharded over one axis, 2 MiB of one over both.
EXCHANGES = {
    "all-gather": (
        lambda x: lax.all_gather(x, "data", tiled=True),
        P("data", "tensor"),
        P(None, "tensor"),
        ("data",),
        6,
    ),
    "reduce-scatter": (
        lambda x: lax.psum_scatter(x, "tensor", scatter_dimension=1, tiled=True),
        P("data", None),
        P("data", "tensor"),
        ("tensor",),
        6,
    ),
    "all-reduce": (lambda x: lax.psum(x, "data"), P(None, "tensor"), P(None, "tensor"), ("data",), 12),
    "collective-permute": (
        lambda x: lax.ppermute(x, "tensor", [(chip, (chip + 1) % 4) for chip in range(4)]),
        P("data", "tensor"),
        P("data", "tensor"),
        ("tensor",),
        2,
    ),
    "all-to-all": (
        lambda x: lax.all_to_all(x, "tensor", 1, 0, tiled=True),
        P("data", "tensor"),
        P("data", "tensor"),
        ("tensor",),
        1.5,
    ),
}


@pytest.mark.parametrize("kind", EXCHANGES)
def test_finds_a_collective_with_its_axes_bytes_and_time(kind):
    function, inside, outside, axes, sent = EXCHANGES[kind]
    topology, mesh = tpu.make("v5e:4x4", (4, 4), ("data", "tensor"))
    text = tpu.text(per_chip(mesh, function, inside, outside), tpu.array(mesh, 4096, 4096, spec=inside))
    found = estimate(text, topology, mesh)
    (only,) = found.collectives
    assert (only.kind, only.axes, only.network, only.count) == (kind, axes, "ici", 1)
    assert only.bytes == found.collective_bytes == sent * MB
    # A line of 4: all through one link. Of an all-to-all the middle link carries 2 x 2 of 4 parts.
    carried = 2 if kind == "all-to-all" else sent
    assert found.ici_seconds == pytest.approx(carried * MB / topology.chip.link_bandwidth)
    assert found.dcn_seconds == 0


def test_an_exchange_between_slices_goes_over_their_network():
    topology, mesh = tpu.make("v5e:4x4", (2, 4, 4), ("replica", "data", "tensor"), slices=2)
    text = tpu.text(
        per_chip(mesh, lambda x: lax.psum(x, ("replica", "data")), P(None, "tensor"), P(None, "tensor")),
        tpu.array(mesh, 4096, 4096, spec=(None, "tensor")),
    )
    found = estimate(text, topology, mesh)
    # Scattered over the slice first, so that each chip sends a quarter of its 8 MiB to the other slice.
    (between,) = (each for each in found.collectives if each.network == "dcn")
    assert (between.kind, between.axes, between.bytes) == ("all-reduce", ("replica",), 2 * MB)
    assert found.dcn_seconds == pytest.approx(2 * MB / topology.chip.dcn_bandwidth)
    within = {(each.kind, each.axes) for each in found.collectives if each.network == "ici"}
    assert {("reduce-scatter", ("data",)), ("all-gather", ("data",))} <= within


def test_a_collective_that_is_hidden_behind_products_counts_once():
    topology, mesh = tpu.make("v5e:4x4", (4, 4), ("fsdp", "tensor"))

    def layers(x, weights):
        def layer(x, weight):
            full = lax.with_sharding_constraint(weight, jax.NamedSharding(mesh, P(None, "tensor")))
            return lax.with_sharding_constraint(x @ full, jax.NamedSharding(mesh, P("fsdp", None))), None

        return lax.scan(layer, x, weights)[0]

    x = tpu.array(mesh, 8192, 4096, spec=("fsdp",))
    weights = tpu.array(mesh, 6, 4096, 4096, spec=(None, "fsdp", "tensor"))
    text = tpu.text(layers, x, weights)
    found = estimate(text, topology, mesh)
    over_fsdp = sum(each.bytes for each in found.collectives if each.axes == ("fsdp",))
    assert over_fsdp == pytest.approx(6 * 6 * MB)  # 3 of 4 parts of 8 MiB, 6 times
    # The compiler gathers the columns, too, rather than the larger products: each chip has a quarter of the rows.
    assert found.hardware_flops == 6 * 2 * 8192 * 4096 * 4096 / 4
    assert type(found.step_seconds) is float


def test_a_kernel_is_costed_by_roofline_and_listed():
    from jax.experimental.pallas.ops.tpu.flash_attention import flash_attention

    topology, mesh = tpu.one_chip("v5p:2x2x1")
    queries = tpu.array(mesh, 1, 8, 1024, 128)
    found = estimate(tpu.text(lambda q, k, v: flash_attention(q, k, v), *[queries] * 3), topology, mesh)
    (kernel,) = found.rooflined
    assert kernel.count == 1
    products = 2 * 2 * 8 * 1024 * 1024 * 128
    assert kernel.flops == found.hardware_flops
    assert products <= kernel.flops < 1.1 * products  # what its author declares, with the softmax
    assert kernel.bytes >= 4 * 8 * 1024 * 128 * 2
    chip = topology.chip
    expected = max(kernel.flops / chip.peak_flops, kernel.bytes / chip.hbm_bandwidth)
    assert kernel.seconds == pytest.approx(expected)
    assert found.compute_seconds >= kernel.seconds


def test_both_bounds():
    topology, mesh = tpu.make("v5e:4x4", (4, 4), ("data", "tensor"))

    def reduced(x, weight):
        return lax.with_sharding_constraint(x @ weight, jax.NamedSharding(mesh, P("data", None)))

    arrays = (
        tpu.array(mesh, 4096, 4096, spec=("data", "tensor")),
        tpu.array(mesh, 4096, 4096, spec=("tensor", None)),
    )
    found = estimate(tpu.text(reduced, *arrays), topology, mesh)
    parts = found.compute_seconds, found.ici_seconds, found.dcn_seconds, found.copy_seconds, found.host_seconds
    assert found.step_seconds == max(parts) > 0
    assert found.step_seconds_no_overlap == sum(parts)
    assert found.compute_seconds > 0
    assert found.communication_seconds == found.ici_seconds > 0


def test_copies_beside_the_computation_load_the_memory():
    topology, mesh = tpu.one_chip("v4:2x2x1")
    found = estimate(tpu.text(lambda a, b: a @ b, *[tpu.array(mesh, 4096, 4096)] * 2), topology, mesh)
    # v4's compiler brings a factor of 32 MiB into vector memory beforehand.
    assert found.copy_seconds in [pytest.approx(n * 32 * MB / topology.chip.hbm_bandwidth) for n in (1, 2, 3)]


def test_scalars_are_not_listed():
    topology, mesh = tpu.one_chip("v5e:2x2")
    found = estimate(tpu.text(lambda x: jnp.sin(x) + 1, tpu.array(mesh, 4)), topology, mesh)
    assert (found.rooflined, found.collectives, found.hardware_flops) == ((), (), 0)
