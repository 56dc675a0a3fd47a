"""Recipes of pictures of one shape, and what is drawn from them."""

from typing import Any

import numpy as np

from flamingo_jax.data.scenes.drawing import draw
from flamingo_jax.data.scenes.scene import sample_size
from flamingo_jax.data.scenes.words import Attributes
from flamingo_jax.evaluation.benchmarks.generated import Recipe, png, scene_of


def recipe(rng: np.random.Generator, attributes: Attributes) -> dict[str, Any]:
    """A picture that shows these attributes."""
    return {**attributes.to_dict(), **canvas(rng)}


def canvas(rng: np.random.Generator) -> dict[str, int]:
    """Width and height in pixels, and the seed of everything that is not decided elsewhere."""
    width, height = sample_size(rng)
    return {"width": width, "height": height, "seed": int(rng.integers(2**32))}


def draw_picture(picture: Recipe) -> bytes:
    """The file of a recipe."""
    return png(draw(scene_of(picture, np.random.default_rng(picture["seed"]))))
