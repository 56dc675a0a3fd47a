"""The pretrained parts of a model, read from published or converted files into the model's parameter tree."""

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes  # noqa: F401 (registers "bfloat16" with numpy)
import numpy as np

from flamingo_jax.interop import native, parts
from flamingo_jax.interop.canonical import flatten_shapes, in_order, locate
from flamingo_jax.interop.compared import compare_language, compare_vision, compare_whole
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.files.pieces import cast, raw, row_major
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.models.flamingo import FlamingoConfig

_THREADS = 16  # each holds a tensor or two


@dataclasses.dataclass(frozen=True)
class PretrainedConfig:
    """Where the pretrained weights lie: files, or folders of one model each.

    Paths may be local, `gs://...`, or `package://NAME/FILE` for a file inside an installed Python package. What the
    files are is told by the names of their tensors. A part that nothing names is drawn at random, and must then train.

    Attributes:
      language: the language model: a folder of Hugging Face's, a GGUF, safetensors or torch file, or a folder that
        `flamingo_jax.convert` wrote.
      vision: the vision encoder, likewise.
      flamingo: a whole model that `flamingo_jax.convert` wrote: everything of it that `language` and `vision` do not
        name.
      tokenizer: `tokenizer.json`, a folder with one, or a GGUF file; empty for the language model's own.
      frozen_dtype: what the frozen weights of the language model and the vision encoder are stored in: "float32" or
        "bfloat16".
    """

    language: str = ""
    vision: str = ""
    flamingo: str = ""
    tokenizer: str = ""
    frozen_dtype: str = "bfloat16"

    def __post_init__(self):
        if self.frozen_dtype not in ("float32", "bfloat16"):
            raise ValueError(f'PretrainedConfig.frozen_dtype is "float32" or "bfloat16", got {self.frozen_dtype!r}')

    @property
    def tokenizer_path(self) -> str:
        """The tokenizer's file or folder: its own, or the language model's.

        Raises:
          WeightsError: nothing names one.
        """
        path = self.tokenizer or self.language or self.flamingo
        if not path:
            raise WeightsError(
                "PretrainedConfig names no language model, whose tokenizer could be taken: set its tokenizer"
            )
        return path


def load_pretrained(
    config: PretrainedConfig, model: FlamingoConfig, shapes: Mapping[str, Shape], trainable: Iterable[str] = ()
) -> tuple[dict[str, np.ndarray], str]:
    """Reads the files.

    Args:
      config: where they are.
      model: what they must fit.
      shapes: the shape of each of the model's parameters, by path (`vision_encoder/stem/kernel`).
      trainable: paths of parameters of the language model and the vision encoder that train, and so are returned in
        float32, as what else a Flamingo has is.

    Returns:
      The parameters that the files hold, by path; and a fingerprint of those of the language model and the vision
      encoder: SHA-256 of the values in float32, layer by layer, whatever they were stored in and are grouped by.

    Raises:
      FileNotFoundError, WeightsError: a file is missing, is corrupt or does not fit the model.
    """
    wanted = flatten_shapes(shapes, model.plan)
    with contextlib.ExitStack() as stack:
        sources, names = open_sources(config, model, wanted, stack)
        parameters = Parameters(sources, {name: wanted[name] for name in names})
        places = {name: locate(name, model.plan) for name in parameters}
        kept = {places[name].path for name in parameters if is_pretrained(name)}.difference(trainable)
        params = {
            place.path: np.empty(shapes[place.path], config.frozen_dtype if place.path in kept else np.float32)
            for place in places.values()
        }

        def load(names: Sequence[str]) -> dict[str, str]:
            digests = {}
            for name, array in parameters.read(names).items():
                path, index = places[name]
                array = row_major(array)
                params[path][index] = cast(array, params[path].dtype, name)
                if is_pretrained(name):
                    digests[name] = digest(array)
            return digests

        digests = {}
        # Most of it is copying, casting and hashing, for which Python lets go of its lock.
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
            try:
                for found in pool.map(load, parameters.groups()):
                    digests |= found
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return params, fingerprint(digests)


def open_sources(
    config: PretrainedConfig, model: FlamingoConfig, shapes: Mapping[str, Shape], stack: contextlib.ExitStack
) -> tuple[list[Source], list[str]]:
    """Opens the files.

    Args:
      config: where they are.
      model: what they must fit.
      shapes: of the model's parameters, by canonical name.
      stack: closes the files.

    Returns:
      The files with their maps, and the names of the parameters that they are to give.
    """
    sources, names = [], []
    if config.language:
        file = stack.enter_context(parts.open_weights(config.language))
        sources.append(parts.language_source(file, model.language, shapes))
        compare_language(file, model.language)
        names += filter(parts.is_language, shapes)
    if config.vision:
        file = stack.enter_context(parts.open_weights(config.vision))
        sources.append(parts.vision_source(file, model.vision, shapes))
        compare_vision(file, model.vision)
        names += filter(parts.is_vision, shapes)
    if config.flamingo:
        file = stack.enter_context(parts.open_weights(config.flamingo))
        whole = native.read_config(file.path.parent)
        if not isinstance(whole, FlamingoConfig):
            raise WeightsError(
                f"{config.flamingo} holds a part of a model: name it in PretrainedConfig.language or .vision"
            )
        compare_whole(file, whole, model, [part for part in ("language", "vision") if getattr(config, part)])
        rest = [name for name in shapes if name not in names]
        sources.append(parts.native_source(file, rest, "PretrainedConfig names another file for it"))
        names += rest
    return sources, names


def is_pretrained(name: str) -> bool:
    """Whether the parameter is one of those that a fingerprint is of."""
    return parts.is_language(name) or parts.is_vision(name)


def digest(array: np.ndarray) -> str:
    """SHA-256 of the values in float32, in row-major order."""
    found = hashlib.sha256()
    for piece in raw(array, np.dtype(np.float32)):
        found.update(piece)
    return found.hexdigest()


def fingerprint(digests: Mapping[str, str]) -> str:
    """One hash of many parameters, from the `digest` of each by canonical name."""
    lines = (f"{name} {digests[name]}\n" for name in in_order(digests))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
