"""The device mesh: `replica` (slow network), `data`, `fsdp` and `tensor`."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import Mesh

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.names import BATCH_AXES
from flamingo_jax.parallel.rules import REPLICATED, Rules, check_rules

AXES = ("replica", "data", "fsdp", "tensor")


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes, one of which may be -1 (all devices that are left), and the sharding rules.

    Attributes:
      replica: over the slow network, between slices or nodes; a multiple of the number of slices.
      data, fsdp, tensor: over the fast one.
      rules: logical axis (`parallel.names`) -> mesh axes, of parameters and activations; those of the batch must be
        among them.
      moment_rules: the same for what is kept of each trainable parameter beside its value: the optimizer's moments and
        the accumulated gradient. Empty: `rules`. With more mesh axes than those this is ZeRO-1 (Rajbhandari et al.,
        2020): each device updates a part of its parameters, and the parts are gathered.
    """

    replica: int = 1
    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    rules: Rules = REPLICATED
    moment_rules: Rules = ()

    def __post_init__(self):
        for axis in AXES:
            size = getattr(self, axis)
            if not isinstance(size, int) or (size < 1 and size != -1):
                raise ConfigError(f"MeshConfig.{axis} must be a positive integer, or -1 for what is left; got {size!r}")
        check_rules(self.rules, "MeshConfig.rules", AXES, needed=BATCH_AXES)
        check_rules(self.moment_rules, "MeshConfig.moment_rules", AXES)


def fits(config: MeshConfig, devices: int) -> bool:
    """Whether the axes' sizes multiply to so many devices."""
    sizes = [getattr(config, axis) for axis in AXES]
    known = math.prod(size for size in sizes if size != -1)
    return sizes.count(-1) <= 1 and devices % known == 0 and (-1 in sizes or known == devices)


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh over `devices` (default: all), laid out so that neighbours on an axis are neighbours in the network.

    On a TPU each axis is given whole dimensions of the torus where that is possible. Of several slices, `replica` goes
    between them. Elsewhere devices come in the order of their processes, so that the last axes stay within a machine.

    Raises:
      ConfigError: the axes' sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [getattr(config, axis) for axis in AXES]
    known = math.prod(size for size in sizes if size != -1)
    if not fits(config, len(devices)):
        asked = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, sizes, strict=True))
        raise ConfigError(f"a mesh of {asked} does not fit {len(devices)} devices: their product must be that number")
    shape = [len(devices) // known if size == -1 else size for size in sizes]
    return Mesh(_arranged(list(devices), shape), AXES)


def _arranged(devices: list[jax.Device], shape: list[int]) -> np.ndarray:
    if devices[0].platform != "tpu":
        return np.asarray(devices).reshape(shape)
    slices = len({device.slice_index for device in devices if hasattr(device, "slice_index")}) or 1
    if slices == 1:
        return mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    if shape[0] % slices:
        raise ConfigError(
            f"the devices are in {slices} slices: MeshConfig.replica must be a multiple of that, got {shape[0]}"
        )
    within = [shape[0] // slices, *shape[1:]]
    return mesh_utils.create_hybrid_device_mesh(within, [slices, 1, 1, 1], devices, allow_split_physical_axes=True)
