"""Media that are drawn when they are needed rather than downloaded: from recipes that stand beside the code."""

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from etils import epath
from PIL import Image

from flamingo_jax.data.scenes.scene import Scene, sample_scene
from flamingo_jax.data.scenes.words import VOCABULARIES, Attributes
from flamingo_jax.html.files import write_whole

Recipe = Mapping[str, Any]
"""All that decides about a medium, as JSON has it."""


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The media of a generated benchmark: `Benchmark.write` writes them, `Benchmark.read` finds them by their recipes.

    Attributes:
      draw: recipe -> the bytes of its file, always the same; see `png`.
      ending: of the files' names.
    """

    draw: Callable[[Recipe], bytes]
    ending: str = "png"

    def path(self, folder: epath.Path, recipe: Recipe) -> epath.Path:
        """Where the medium of a recipe is; equal recipes share a file, and another recipe never finds it."""
        text = json.dumps(recipe, sort_keys=True)
        return folder / "media" / f"{hashlib.blake2b(text.encode(), digest_size=10).hexdigest()}.{self.ending}"

    def write(self, folder: epath.Path, recipes: Iterable[Recipe]) -> None:
        """Draws what is not there yet. A file that is there is complete, also where writing was killed.

        Raises:
          OSError: one cannot be written.
        """
        (folder / "media").mkdir(parents=True, exist_ok=True)
        there = {path.name for path in (folder / "media").iterdir()}
        for recipe in recipes:
            path = self.path(folder, recipe)
            if path.name not in there:
                write_whole(path, self.draw(recipe))
                there.add(path.name)


def scene_of(recipe: Recipe, rng: np.random.Generator) -> Scene:
    """The scene of a recipe that has attributes, a width and a height; the generator decides all else."""
    attributes = Attributes(*(recipe[name] for name in VOCABULARIES))
    return sample_scene(rng, attributes, size=(recipe["width"], recipe["height"]))


def png(picture: Image.Image) -> bytes:
    """A picture as a file, without loss."""
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()
