"""A training run as a model to convert: its newest checkpoint as a file of tensors, and its pretrained weights."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.interop import native, pretrained
from flamingo_jax.interop.canonical import places
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.opening import Opened
from flamingo_jax.interop.shapes import canonical_shapes
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.parallel.hosts import of_first
from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.checkpoints import CheckpointConfig, Checkpoints
from flamingo_jax.training.checksums import checksums


def is_run(folder: epath.Path) -> bool:
    """Whether the folder is the workdir of a training run."""
    return (folder / "checkpoints").is_dir()


def newest(workdir: epath.Path) -> tuple[int, dict[str, Any]]:
    """The step of a run's newest checkpoint, and what was saved beside its state.

    Of several processes, all must call this; what the first one sees counts.

    Raises:
      CheckpointError: there is none, or it is damaged.
    """
    with Checkpoints(workdir, CheckpointConfig(), read_only=True) as checkpoints:
        latest = checkpoints.latest
        step = of_first(-1 if latest is None else latest)
        if step < 0:
            raise CheckpointError(f"{workdir} has no complete checkpoint yet: train first")
        return step, checkpoints.facts(step)


def open_run(workdir: epath.Path, stack: contextlib.ExitStack) -> Opened:
    """The model of a training run: what its newest checkpoint holds, and the pretrained weights below it.

    Args:
      workdir: of the run.
      stack: closes the files.

    Raises:
      CheckpointError: there is no checkpoint, or the pretrained weights are not those that it was trained on.
      FileNotFoundError, WeightsError: the pretrained weights are missing or damaged.
    """
    step, facts = newest(workdir)
    run = config_lib.from_config_dict(json.loads(facts["config"]))
    shapes = canonical_shapes(run.model)
    sources, names = pretrained.open_sources(run.pretrained, run.model, shapes, stack)
    below = Parameters(sources, {name: shapes[name] for name in names})
    digests = {name: pretrained.digest(below[name]) for name in below if pretrained.is_pretrained(name)}
    if pretrained.fingerprint(digests) != facts["frozen_fingerprint"]:
        raise CheckpointError(
            f"the checkpoint of step {step} in {workdir} was trained on other pretrained weights than now lie at "
            f"{' and '.join(str(source.file.path) for source in sources)}: put back those that it was trained on"
        )
    checkpoint = stack.enter_context(CheckpointFile(workdir, step, run.model.plan, facts["checksums"]))
    own = Source(checkpoint, native.weight_map(checkpoint))
    tokenizer = locate(run.pretrained.tokenizer_path)
    return Opened(run.model, f"training run, step {step}", (own, *sources), tokenizer)


def trained(opened: Opened) -> frozenset[str] | None:
    """The canonical names of what a run has trained: all that its checkpoint holds. None if it is no training run."""
    checkpoints = [source.file for source in opened.sources if isinstance(source.file, CheckpointFile)]
    return frozenset().union(*checkpoints) if checkpoints else None


class CheckpointFile(TensorFile):
    """What a checkpoint holds of the model: its trainable part, one tensor a layer.

    The model's own leaves are stacks of layers. One is read at a time, whole, and kept until another is asked for: go
    through the names in their order. Of several processes, each reads what it wants.

    Attributes:
      places: where each tensor lies in the model's own leaves.
    """

    def __init__(self, workdir: epath.Path, step: int, plan: LayerPlan, expected: Mapping[str, str]):
        """Reads the index of the checkpoint of `step`; raises WeightsError where it cannot be read.

        Args:
          workdir: of the training run.
          step: of the checkpoint.
          plan: of the model's decoder.
          expected: checksums by path, of the checkpoint's facts. What is read must have them.
        """
        path = epath.Path(workdir).resolve() / "checkpoints" / str(step) / "state"
        # By itself: else Orbax has all processes wait for each other after each reading.
        process = ocp.multihost.process_index()
        alone = ocp.options.MultiprocessingOptions(primary_host=process, active_processes={process})
        handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
        self._checkpointer = ocp.Checkpointer(handler, multiprocessing_options=alone)
        try:
            metadata = self._checkpointer.metadata(path)
            tree = getattr(metadata, "item_metadata", metadata)  # wrapped since Orbax 0.11
            params = getattr(tree, "tree", tree)["params"]
        except Exception as error:  # Orbax and TensorStore raise nearly anything
            raise WeightsError(f"{path} is no checkpoint that can be read: {error}") from error
        found = jax.tree_util.tree_leaves_with_path(params)
        leaves = {"/".join(str(key.key) for key in keys): leaf for keys, leaf in found}
        self.places = places({name: tuple(leaf.shape) for name, leaf in leaves.items()}, plan)
        specs = {
            name: TensorSpec(tuple(leaves[place.path].shape[len(place.index) :]), np.dtype(leaves[place.path].dtype))
            for name, place in self.places.items()
        }
        self._leaf: tuple[str, np.ndarray | None] = "", None
        self._expected = expected
        super().__init__(path, specs, {})

    def _read(self, name: str) -> np.ndarray:
        place = self.places[name]
        if self._leaf[0] != place.path:
            self._leaf = "", None  # freed before the next one is read
            self._leaf = place.path, self._restore(place.path)
        return np.array(self._leaf[1][place.index], order="C")

    def _restore(self, leaf: str) -> np.ndarray:
        """One leaf of the parameters: Orbax restores the parts of the tree that it is given."""

        def nested(value):
            for key in reversed(["params", *leaf.split("/")]):
                value = {key: value}
            return value

        wanted = ocp.args.PyTreeRestore(
            item=nested(0), restore_args=nested(ocp.RestoreArgs(restore_type=np.ndarray)), transforms={}
        )
        try:
            tree = self._checkpointer.restore(self.path, args=wanted)
        except Exception as error:
            raise WeightsError(f"{self.path}: {leaf} cannot be read: {error}") from error
        for key in ("params", *leaf.split("/")):
            tree = tree[key]
        array = np.asarray(tree)
        if checksums(nested(array)) != {f"params/{leaf}": self._expected.get(f"params/{leaf}")}:
            raise WeightsError(f"{self.path} is damaged: {leaf} is not what was saved. Set this checkpoint aside")
        return array

    def _release(self) -> None:
        self._leaf = "", None
        self._checkpointer.close()
