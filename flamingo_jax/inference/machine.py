"""A trained run as the devices that are here can hold and answer with it."""

import dataclasses
import logging

import jax

from flamingo_jax.models.attention_kernels import runs_on
from flamingo_jax.parallel.mesh import MeshConfig, fits
from flamingo_jax.training.run import RunConfig

_logger = logging.getLogger(__name__)

# Sizes of the mesh's axes, the nearest to training's first: fewer devices may still have to share the parameters.
_OTHERS = (
    {"replica": 1, "data": -1},
    {"replica": 1, "data": 1, "fsdp": -1},
    {"replica": 1, "data": 1, "fsdp": -1, "tensor": 1},
)


def for_this_machine(run: RunConfig) -> RunConfig:
    """The same model, with an attention kernel that runs on the devices here, and a mesh of as many as there are."""
    if not runs_on(run.model.attention, jax.default_backend()):
        run = dataclasses.replace(run, model=dataclasses.replace(run.model, attention="xla"))
    return dataclasses.replace(run, mesh=mesh_of(run.mesh, jax.device_count()))


def mesh_of(mesh: MeshConfig, devices: int) -> MeshConfig:
    """The mesh where it fits so many devices, else one of the same rules that does."""
    meshes = [mesh, *(dataclasses.replace(mesh, **sizes) for sizes in _OTHERS)]
    found = next(each for each in meshes if fits(each, devices))  # the last one always does
    if found != mesh:
        shape = f"data={found.data}, fsdp={found.fsdp}, tensor={found.tensor}"
        _logger.info("the mesh of training does not fit %d devices: answering with %s", devices, shape)
    return found
