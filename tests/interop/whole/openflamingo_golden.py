"""The goldens of OpenFlamingo as the files that the peer publishes, and models read from them."""

import dataclasses
import functools
import json

import numpy as np

from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.language.families import find_family, from_hf
from flamingo_jax.interop.vision import open_clip
from flamingo_jax.interop.whole import openflamingo
from flamingo_jax.models.flamingo import FlamingoConfig
from tests.interop.whole.support import MemoryFile, golden, logits, shapes


@dataclasses.dataclass
class Golden:
    """A golden file: the peer's tensors in the forms that they are published in."""

    arrays: dict[str, np.ndarray]

    def __post_init__(self):
        self.config = json.loads(str(self.arrays["config"]))
        self.language = from_hf(self.config["language"])
        self.vision = dataclasses.replace(
            open_clip.from_config({"vision_cfg": self.config["vision"] | {"head_width": 8}, "quick_gelu": True}),
            output="all",  # which OpenFlamingo does not take
        )

    def _tensors(self, names: str) -> dict[str, np.ndarray]:
        return {name: self._stored(key) for name, key in json.loads(str(self.arrays[names])).items()}

    def _stored(self, key: str) -> np.ndarray:
        return self.arrays[key if key.startswith("base/") else f"state/{key}"]

    @functools.cached_property
    def full(self) -> MemoryFile:
        """A save of the whole model."""
        return MemoryFile(self._tensors("full"), "full.pt")

    @functools.cached_property
    def released(self) -> MemoryFile:
        """What the peer's trainer saves."""
        return MemoryFile(self._tensors("released"), "checkpoint.pt")

    @functools.cached_property
    def base(self) -> MemoryFile:
        """The language model's own checkpoint."""
        return MemoryFile(self._tensors("base"), "language.safetensors")

    @functools.cached_property
    def clip(self) -> MemoryFile:
        """The vision encoder's own checkpoint."""
        prefix = "vision_encoder."
        tower = {f"visual.{name[len(prefix) :]}": self.full[name] for name in self.full if name.startswith(prefix)}
        return MemoryFile(tower, "clip.safetensors")

    def derive(self, file: MemoryFile) -> FlamingoConfig:
        """The model's config, from the tensors alone."""
        return openflamingo.derive(file.specs, self.language, self.vision)

    def read_whole(self) -> tuple[FlamingoConfig, dict[str, np.ndarray]]:
        """The model from a save of the whole model."""
        config = self.derive(self.full)
        weights = openflamingo.weight_map(config, self.full, **openflamingo.parts_in(config, self.full))
        return config, dict(Parameters([Source(self.full, weights)], shapes(config)).items())

    def read_release(self, release: MemoryFile) -> tuple[FlamingoConfig, dict[str, np.ndarray]]:
        """The model from a release and the checkpoints of its parts."""
        config = self.derive(release)
        sources = [
            Source(release, openflamingo.weight_map(config, release)),
            Source(self.base, find_family(self.base).weight_map(config.language, self.base).under("language_model/")),
            Source(self.clip, open_clip.weight_map(config.vision, self.clip).under("vision_encoder/")),
        ]
        return config, dict(Parameters(sources, shapes(config), openflamingo.zeros(config, release)).items())

    def logits(self, config: FlamingoConfig, parameters, side: str) -> tuple[np.ndarray, np.ndarray]:
        """Ours and the peer's, of all tokens that are no padding."""
        tokens, mask = self.arrays[f"{side}/tokens"], self.arrays[f"{side}/mask"]
        image_index = np.cumsum(tokens == self.config["image_token"], axis=1)
        ours = logits(config, parameters, tokens, mask, image_index, self.arrays["images"])
        return ours[mask > 0], self.arrays[f"{side}/logits"][mask > 0]


@functools.cache
def load(host: str) -> Golden:
    """The golden of one kind of language model."""
    return Golden(golden(f"openflamingo_{host}"))
