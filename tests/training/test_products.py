"""Products counted from a trace, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest

from flamingo_jax.training.products import Value, products

WEIGHT, TRAINED, DATA = Value(weight="w"), Value(weight="t", active=True), Value(varies=True)
X, W = jax.ShapeDtypeStruct((3, 4), jnp.float32), jax.ShapeDtypeStruct((4, 5), jnp.float32)


def found(function, shapes, values):
    return products(jax.make_jaxpr(function)(*shapes), values)


def test_a_product_is_two_flops_a_multiplication():
    (one,) = found(lambda x, w: x @ w, (X, W), (DATA, WEIGHT))
    assert (one.weight, one.size, one.flops, one.count) == ("w", 20, 2 * 3 * 4 * 5, 1)
    assert (one.active, one.varies) == (False, True)


def test_a_batched_product_sums_over_its_contracted_axes_alone():
    shapes = jax.ShapeDtypeStruct((7, 3, 4), jnp.float32), jax.ShapeDtypeStruct((7, 5, 4), jnp.float32)
    (one,) = found(lambda x, y: jnp.einsum("bij,bkj->bik", x, y), shapes, (DATA, DATA))
    assert (one.weight, one.flops) == (None, 2 * 7 * 3 * 4 * 5)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_counts_its_window_and_the_features_of_a_group(groups):
    image = jax.ShapeDtypeStruct((2, 9, 9, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4 // groups, 6), jnp.float32)

    def convolve(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "VALID", dimension_numbers=layout, feature_group_count=groups
        )

    (one,) = found(convolve, (image, kernel), (DATA, WEIGHT))
    assert one.flops == 2 * (2 * 4 * 4 * 6) * (3 * 3 * 4 // groups)


def test_a_cast_or_standardized_weight_is_still_that_weight():
    def function(x, w):
        w = (w - w.mean()) * jax.lax.rsqrt(jnp.var(w, axis=0) + 1e-5)
        return jax.jit(lambda x, w: x @ w)(x, w.astype(jnp.float32).reshape(4, 5))

    (one,) = found(function, (X, W), (DATA, WEIGHT))
    assert one.weight == "w"


def test_what_depends_on_trainable_weights_is_active_from_there_on():
    def function(x, w, t):
        first = x @ w
        return (first * t) @ w.T

    shapes = X, W, jax.ShapeDtypeStruct((5,), jnp.float32)
    below, above = found(function, shapes, (DATA, WEIGHT, TRAINED))
    assert (below.active, above.active) == (False, True)
    assert below.weight == above.weight == "w"


def test_a_scan_counts_its_rounds_and_learns_what_is_carried_round():
    stack = jax.ShapeDtypeStruct((6, 4, 4), jnp.float32)

    def function(x, stack, t):
        def body(carry, w):
            inner, _ = jax.lax.scan(lambda c, _: (jnp.tanh(c @ w), None), carry, length=3)
            return inner + t, None

        return jax.lax.scan(body, x, stack)[0]

    shapes = X, stack, jax.ShapeDtypeStruct((4,), jnp.float32)
    (one,) = found(jax.checkpoint(function), shapes, (DATA, WEIGHT, TRAINED))
    assert (one.count, one.flops, one.size) == (18, 2 * 3 * 4 * 4, 16)
    assert one.active  # not in the first round, but from the second on


def test_a_constant_times_a_weight_does_not_vary_with_the_batch():
    (one,) = found(lambda w: jnp.ones((2, 4)) @ w, (W,), (WEIGHT,))
    assert (one.weight, one.varies, one.active) == ("w", False, False)


def test_of_branches_the_costliest_counts():
    def function(flag, x, w):
        return jax.lax.cond(flag, lambda: (x @ w) @ w.T, lambda: x)

    flag = jax.ShapeDtypeStruct((), jnp.bool_)
    assert len(found(function, (flag, X, W), (DATA, DATA, WEIGHT))) == 2


def test_products_in_a_loop_of_unknown_length_are_refused():
    square = jax.ShapeDtypeStruct((4, 4), jnp.float32)

    def function(x):
        return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ x, x)

    with pytest.raises(ValueError, match="while loop"):
        found(function, (square,), (DATA,))
