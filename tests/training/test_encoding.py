"""Encoding the images of all datasets together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.training.encoding import encode_together


def encode(pixels):
    """Two features an image, of two positions."""
    assert pixels.ndim == 4
    pixels = pixels.astype(jnp.float32)
    return jnp.stack([pixels.mean((1, 2, 3)), pixels.max((1, 2, 3))], axis=-1)[:, None].repeat(2, axis=1)


def batch(rows: int, images: int, frames: int, size: int) -> dict:
    rng = np.random.default_rng(rows + size)
    shape = (rows, images, frames, size, size, 3)
    return {"images": rng.integers(0, 256, shape, np.uint8), "tokens": np.zeros((rows, 4), np.int32)}


@pytest.mark.parametrize("chunk", [0, 1, 4, 1000])
def test_each_image_gets_its_own_features(chunk):
    batches = {
        "m3w": batch(4, 3, 1, 8),
        "clips": batch(2, 1, 5, 8),
        "large": batch(3, 1, 1, 16),
        "text": batch(4, 0, 1, 1),
    }
    found = jax.jit(lambda batches: encode_together(encode, batches, chunk))(batches)
    assert found.keys() == batches.keys()
    assert found["text"].keys() == batches["text"].keys()
    for name in ("m3w", "clips", "large"):
        images = batches[name]["images"]
        assert found[name].keys() == {"tokens", "features"}
        expected = np.asarray(encode(images.reshape(-1, *images.shape[3:]))).reshape(*images.shape[:3], 2, 2)
        np.testing.assert_allclose(found[name]["features"], expected, rtol=1e-6)


def test_images_of_one_size_are_one_call():
    seen = []

    def counting(pixels):
        seen.append(pixels.shape)
        return encode(pixels)

    encode_together(counting, {"m3w": batch(4, 3, 1, 8), "clips": batch(2, 1, 5, 8), "large": batch(3, 1, 1, 16)})
    assert seen == [(22, 8, 8, 3), (3, 16, 16, 3)]
