import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from flamingo_jax.planning import flops, hlo
from flamingo_jax.planning.estimate import estimate
from tests.planning import tpu


@settings(deadline=None)
@given(
    size=st.integers(1, 9),
    window=st.integers(1, 9),
    outputs=st.integers(1, 12),
    low=st.integers(-3, 9),
    stride=st.integers(1, 4),
    input_dilation=st.integers(1, 4),
    window_dilation=st.integers(1, 3),
)
def test_places_of_a_window_are_those_that_counting_finds(
    size, window, outputs, low, stride, input_dilation, window_dilation
):
    places = [o * stride + k * window_dilation - low for o in range(outputs) for k in range(window)]
    expected = sum(0 <= place <= (size - 1) * input_dilation and place % input_dilation == 0 for place in places)
    found = flops._valid_positions(size, window, outputs, low, stride, input_dilation, window_dilation)
    assert found == expected


def test_a_dot():
    text = """ENTRY %main (a: f32[4,8,16], b: f32[4,16,32]) -> f32[4,8,32] {
  %a = f32[4,8,16]{2,1,0} parameter(0)
  %b = f32[4,16,32]{2,1,0} parameter(1)
  ROOT %dot = f32[4,8,32]{2,1,0} dot(%a, %b), lhs_batch_dims={0}, lhs_contracting_dims={2}, rhs_batch_dims={0}, \
rhs_contracting_dims={1}
}
"""
    main = hlo.parse(text).computations["main"]
    assert flops.product_flops(main["dot"], main) == 2 * 4 * 8 * 16 * 32
    assert flops.product_flops(main["a"], main) == 0


def batched(a, b):
    return jnp.einsum("bqhd,bkhd->bhqk", a, b)


def convolved(x, kernel, **options):
    return lax.conv_general_dilated(x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options)


def kernel_gradient(x, kernel):
    options = {"window_strides": (2, 2), "padding": "SAME"}
    output, back = jax.vjp(lambda kernel: convolved(x, kernel, **options), kernel)
    return back(jnp.ones_like(output))


def input_gradient(x, kernel):
    options = {"window_strides": (2, 2), "padding": "SAME"}
    output, back = jax.vjp(lambda x: convolved(x, kernel, **options), x)
    return back(jnp.ones_like(output))


X, KERNEL = (8, 32, 32, 128), (3, 3, 128, 256)
# A 3x3 window over 32 places with padding "SAME" meets 3 of them, but at both ends only 2.
EACH_WAY = 3 * 32 - 2
STRIDED = 16 * 3 - 1  # stride 2: padding at one end only


@tpu.needs_libtpu
@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda a, b: a @ b, [(512, 1024), (1024, 256)], 2 * 512 * 1024 * 256),
        (lambda a, b: a.T @ b, [(1024, 512), (1024, 256)], 2 * 512 * 1024 * 256),
        (batched, [(4, 256, 8, 128), (4, 512, 8, 128)], 2 * 4 * 8 * 256 * 512 * 128),
        (
            lambda a, b: jnp.einsum("btd,dhk->bthk", a, b),
            [(4, 256, 512), (512, 8, 128)],
            2 * 4 * 256 * 512 * 1024,
        ),
        (
            lambda x, k: convolved(x, k, window_strides=(1, 1), padding="SAME"),
            [X, KERNEL],
            2 * 8 * 128 * 256 * EACH_WAY**2,
        ),
        (
            lambda x, k: convolved(x, k, window_strides=(1, 1), padding="SAME", feature_group_count=2),
            [(8, 32, 32, 256), KERNEL],
            2 * 8 * 128 * 256 * EACH_WAY**2,
        ),
        (
            lambda x, k: convolved(x, k, window_strides=(4, 4), padding="VALID"),
            [X, (4, 4, 128, 256)],
            2 * 8 * 128 * 256 * 32 * 32,
        ),
        (kernel_gradient, [X, KERNEL], 2 * 8 * 128 * 256 * STRIDED**2),
        (input_gradient, [X, KERNEL], 2 * 8 * 128 * 256 * STRIDED**2),
    ],
)
def test_counts_what_the_mathematics_asks_for(function, shapes, expected):
    topology, mesh = tpu.one_chip("v5e:2x2")
    found = estimate(tpu.text(function, *(tpu.array(mesh, *shape) for shape in shapes)), topology, mesh)
    assert found.hardware_flops == expected


@tpu.needs_libtpu
@pytest.mark.parametrize("name", ["v4:2x2x1", "v5e:2x2", "v5p:2x2x1", "v6e:2x2"])
def test_a_large_product_comes_close_to_the_peak_rate_but_not_above(name):
    topology, mesh = tpu.one_chip(name)
    found = estimate(tpu.text(lambda a, b: a @ b, *[tpu.array(mesh, 8192, 8192)] * 2), topology, mesh)
    assert found.hardware_flops == 2 * 8192**3
    assert 0.65 < found.hardware_flops / found.step_seconds / topology.chip.peak_flops < 1
    assert found.hardware_flops / found.compute_seconds < topology.chip.peak_flops
