"""Checkpoints cut into shards, with a JSON index that says which tensor is in which."""

import contextlib
import json
import pathlib

import numpy as np
from etils import epath

from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError, open_tensors

_WANTED = "`weight_map` from tensor names to file names"


class ShardedFile(TensorFile):
    """The shards that an index names (`{"metadata": {...}, "weight_map": {tensor: file}}`), as one file.

    The shards lie beside the index, in any format that `open_tensors` knows. `metadata` is the index's own.
    """

    def __init__(self, path: epath.Path):
        """Opens every shard; raises WeightsError where one is missing, damaged, or holds not what the index says."""
        index = _load(path)
        with contextlib.ExitStack() as stack:
            shards: dict[str, TensorFile] = {}
            for shard in dict.fromkeys(index["weight_map"].values()):
                # Names only: an index must not reach out of its folder.
                if pathlib.PurePath(shard).name != shard:
                    raise WeightsError(f"{path} names the shard {shard!r}; a shard must lie beside its index")
                if shard.endswith(".json"):
                    raise WeightsError(f"{path} names the index {shard!r} as a shard; a shard holds tensors")
                if not (path.parent / shard).exists():
                    raise WeightsError(f"{path.parent / shard}: no such weight file, but {path} names it; fetch it")
                shards[shard] = stack.enter_context(open_tensors(path.parent / shard))
            self._home = {name: shards[shard] for name, shard in index["weight_map"].items()}
            for name, file in self._home.items():
                if name not in file:
                    raise WeightsError(
                        f"{path} says that {file.path.name} holds {name}, which it does not; fetch both again"
                    )
            for shard, file in shards.items():
                extra = [name for name in file if index["weight_map"].get(name) != shard]
                if extra:
                    other = index["weight_map"].get(extra[0])
                    raise WeightsError(
                        f"{file.path} holds {extra[0]}, {f'and {len(extra) - 1} more, ' * (len(extra) > 1)}"
                        f"which {path} {f'says is in {other}' if other else 'does not name'}; "
                        "fetch the index and all its shards again"
                    )
            specs = {name: TensorSpec(file.shape(name), file.dtype(name)) for name, file in self._home.items()}
            self._shards = stack.pop_all()
        super().__init__(path, specs, index.get("metadata") or {})

    def _read(self, name: str) -> np.ndarray:
        return self._home[name][name]

    def _release(self) -> None:
        self._shards.close()


def _load(path: epath.Path) -> dict:
    """The index, checked to have a `weight_map` of strings."""
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        shards = list(index["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is no index of shards ({error!r}): it needs an object {_WANTED}") from error
    if not all(isinstance(shard, str) for shard in shards):
        raise WeightsError(f"{path} is no index of shards: it needs an object {_WANTED}")
    return index
