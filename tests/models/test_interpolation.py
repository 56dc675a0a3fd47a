"""Resized position tables against torch's own resizing, which the peers use."""

from pathlib import Path

import numpy as np
import pytest

from flamingo_jax.models.vision.interpolation import INTERPOLATIONS, resize_grid, resize_matrix

GOLDEN = np.load(Path(__file__).parents[1] / "goldens" / "position_resize.npz")
RESIZED = [name for name in GOLDEN.files if not name.endswith("/table")]


def sizes(text: str) -> tuple[int, int]:
    height, width = text.split("x")
    return int(height), int(width)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_as_torch(interpolation):
    names = [name for name in RESIZED if name.split("/")[1] == interpolation]
    assert len(names) == 15
    for name in names:
        grid, _, target = name.split("/")
        rows, columns = (resize_matrix(*pair, interpolation) for pair in zip(sizes(grid), sizes(target), strict=True))
        resized = np.einsum("yh,xw,hwc->yxc", rows, columns, GOLDEN[f"{grid}/table"])
        np.testing.assert_allclose(resized, GOLDEN[name], rtol=0, atol=1e-5, err_msg=name)
    # The last one as the encoder does it.
    resized = resize_grid(GOLDEN[f"{grid}/table"].reshape(-1, 2), sizes(grid), sizes(target), interpolation)
    np.testing.assert_allclose(resized.reshape(GOLDEN[name].shape), GOLDEN[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_same_grid_is_left_alone(interpolation):
    table = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    np.testing.assert_array_equal(resize_grid(table, (4, 3), (4, 3), interpolation), table)
    np.testing.assert_allclose(resize_matrix(7, 7, interpolation), np.eye(7), atol=1e-7)


def test_errors():
    with pytest.raises(ValueError, match="unknown interpolation 'nearest'; known: bicubic, "):
        resize_matrix(4, 4, "nearest")
    with pytest.raises(ValueError, match="cannot resize 4 positions to 0"):
        resize_matrix(4, 0, "bicubic")
