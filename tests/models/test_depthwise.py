"""Both ways of a depthwise convolution are the same, in value and in gradient."""

import jax
import numpy as np
import pytest

from flamingo_jax.models.vision.convolution import convolution, depthwise, shifted_products


@pytest.mark.parametrize(("side", "size", "stride"), [(8, 3, 1), (8, 3, 2), (9, 5, 2), (7, 5, 1)])
def test_the_ways_agree(side, size, stride):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, side, side + 1, 6)).astype(np.float32)
    kernel = rng.normal(size=(size, size, 1, 6)).astype(np.float32)

    def grouped_convolution(x, kernel, stride):
        return convolution(x, kernel, stride, groups=x.shape[-1])

    expected = grouped_convolution(x, kernel, stride)
    for way in (shifted_products, depthwise):
        np.testing.assert_allclose(way(x, kernel, stride), expected, rtol=1e-5, atol=1e-5)

    def loss(way):
        return jax.jit(jax.grad(lambda x, kernel: (way(x, kernel, stride) ** 2).sum(), argnums=(0, 1)))(x, kernel)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), loss(depthwise), loss(grouped_convolution)
    )
