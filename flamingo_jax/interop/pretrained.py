"""The pretrained parts of a model, read from published or converted files into the model's parameter tree."""

import collections
import contextlib
import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np

from flamingo_jax.interop import native, parts
from flamingo_jax.interop.assembly import Assembly, QuantizedAssembly, Stored, assembly
from flamingo_jax.interop.budget import Budget
from flamingo_jax.interop.canonical import Place, flatten_shapes, in_order, places
from flamingo_jax.interop.compared import compare_language, compare_vision, compare_whole
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.files.pieces import raw, row_major
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.quantized import Quantized

_THREADS = 16  # each holds a tensor or two
_IN_FLIGHT = 1 << 31  # bytes of tensors that the threads hold, as the files store them
FROZEN_DTYPES = ("float32", "bfloat16", "int8")


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
      frozen_dtype: what the frozen weights of the language model and the vision encoder are stored in: "float32",
        "bfloat16", or "int8", which halves the bytes of bfloat16: the weights of matrix products in 8 bits with a scale
        per output channel (`models.quantized`), made as they are loaded, and the rest in bfloat16.
    """

    language: str = ""
    vision: str = ""
    flamingo: str = ""
    tokenizer: str = ""
    frozen_dtype: str = "bfloat16"

    def __post_init__(self):
        if self.frozen_dtype not in FROZEN_DTYPES:
            known = ", ".join(map(repr, FROZEN_DTYPES))
            raise ValueError(f"PretrainedConfig.frozen_dtype is one of {known}, got {self.frozen_dtype!r}")

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


class Sharing(NamedTuple):
    """How the hosts of a run share what each must know of all weights.

    Attributes:
      index, count: of this process, and of them all.
      join: the sum over all processes of a table, uint8, of which each has filled the rows that no other has.
    """

    index: int = 0
    count: int = 1
    join: Callable[[np.ndarray], np.ndarray] = lambda table: table


_ALONE = Sharing()


def load_pretrained(
    config: PretrainedConfig, model: FlamingoConfig, leaves: Mapping[str, Stored], sharing: Sharing = _ALONE
) -> tuple[dict[str, jax.Array | Quantized], str]:
    """Reads the files onto the devices of this process: every parameter once, leaf by leaf.

    In memory are then the shards of this process's devices of a leaf or two, and as many tensors of the files as
    threads work on, of `_IN_FLIGHT` bytes at most (but one). On a CPU the devices' memory is the host's own.

    Args:
      config: where the files are.
      model: what they must fit.
      leaves: how each of the model's leaves is stored, by path (`vision_encoder/stem/kernel`).
      sharing: with the other processes that call this.

    Returns:
      The leaves that the files hold, by path; and a fingerprint of the language model and the vision encoder: SHA-256
      of the values in float32, layer by layer, whatever they were stored in and are grouped by. Each tensor is hashed
      by one process.

    Raises:
      FileNotFoundError, WeightsError: a file is missing, is corrupt or does not fit the model.
    """
    shapes = {path: stored.shape for path, stored in leaves.items()}
    wanted = flatten_shapes(shapes, model.plan)
    with contextlib.ExitStack() as stack:
        sources, names = open_sources(config, model, wanted, stack)
        parameters = Parameters(sources, {name: wanted[name] for name in names})
        hashed = in_order(filter(is_pretrained, parameters))
        loading = _Loading(parameters, places(shapes, model.plan), leaves, hashed, sharing)
        loading.run(min(_THREADS, os.cpu_count() or 1))
    return loading.finished, fingerprint(loading.digests())


def load_parameters(
    parameters: Parameters, model: FlamingoConfig, leaves: Mapping[str, Stored]
) -> dict[str, jax.Array | Quantized]:
    """Reads parameters of any source onto the devices of this process, as `load_pretrained` does, but hashes nothing.

    One after the other, leaf by leaf and layer by layer: sources that are stacks themselves hold one at a time.

    Args:
      parameters: all of some leaves, each one's layers in canonical order.
      model: what they are of.
      leaves: how those leaves are stored, by path.
    """
    found = places({path: stored.shape for path, stored in leaves.items()}, model.plan)
    loading = _Loading(parameters, found, leaves, (), _ALONE)
    loading.run(threads=1)
    return loading.finished


class _Loading:
    """The state of `load_pretrained`, which several threads share.

    Attributes:
      finished: the leaves that are complete, by path.
    """

    def __init__(
        self,
        parameters: Parameters,
        found: Mapping[str, Place],
        leaves: Mapping[str, Stored],
        hashed: Sequence[str],
        sharing: Sharing,
    ):
        self.finished: dict[str, jax.Array | Quantized] = {}
        self._parameters, self._found, self._leaves, self._sharing = parameters, found, leaves, sharing
        self._left = collections.Counter(found[name].path for name in parameters)
        self._begun: dict[str, Assembly | QuantizedAssembly] = {}
        self._lock, self._budget = threading.Lock(), Budget(_IN_FLIGHT)
        self._hashed = {name: row for row, name in enumerate(hashed)}
        self._digests = np.zeros((len(self._hashed), hashlib.sha256().digest_size), np.uint8)

    def run(self, threads: int) -> None:
        """Reads everything. Most of it is copying, casting and hashing, for which Python lets go of its lock."""
        with ThreadPoolExecutor(threads) as pool:
            try:
                for _ in pool.map(self.read, self.groups()):
                    pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def groups(self) -> list[tuple[bool, tuple[str, ...]]]:
        """What is read at a time, leaf after leaf; with each, whether this process hashes it."""
        order = {path: place for place, path in enumerate(self._leaves)}
        groups = sorted(self._parameters.groups(), key=lambda names: order[self._found[names[0]].path])
        index, count = self._sharing.index, self._sharing.count
        return [
            (place % count == index and not self._hashed.keys().isdisjoint(names), names)
            for place, names in enumerate(groups)
        ]

    def read(self, group: tuple[bool, tuple[str, ...]]) -> None:
        """Reads one of `groups`, unless no device of this process holds any of it."""
        hashes, names = group
        with self._lock:
            leaves = {name: self._leaf(self._found[name].path) for name in names}
        if hashes or any(leaves[name].wants(self._found[name].index) for name in names):
            with self._budget.hold(sum(self._parameters.specs[name].nbytes for name in names)):
                for name, array in self._parameters.read(names).items():
                    if hashes and name in self._hashed:
                        array = row_major(array)
                        self._digests[self._hashed[name]] = np.frombuffer(bytes.fromhex(digest(array)), np.uint8)
                    leaves[name].put(self._found[name].index, array, name)
        for name in names:
            self._done(self._found[name].path)

    def digests(self) -> dict[str, str]:
        """The digest of each pretrained parameter, whoever computed it."""
        table = self._sharing.join(self._digests)
        return {name: table[row].tobytes().hex() for name, row in self._hashed.items()}

    def _leaf(self, path: str) -> Assembly | QuantizedAssembly:
        if path not in self._begun:
            self._begun[path] = assembly(self._leaves[path])
        return self._begun[path]

    def _done(self, path: str) -> None:
        with self._lock:
            self._left[path] -= 1
            complete = self._begun.pop(path) if not self._left[path] else None
        if complete is not None:
            leaf = complete.finish()
            with self._lock:
                self.finished[path] = leaf


def given(config: PretrainedConfig, model: FlamingoConfig, shapes: Mapping[str, Shape]) -> set[str]:
    """The paths of the leaves that files give, by the configuration alone.

    Args:
      shapes: of each of the model's leaves, by path.
    """
    return {
        place.path
        for name, place in places(shapes, model.plan).items()
        if config.flamingo or (config.language and parts.is_language(name)) or (config.vision and parts.is_vision(name))
    }


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
