"""The device mesh: `replica` (slow network), `data`, `fsdp` and `tensor`."""

import dataclasses
import math

import jax
import numpy as np
from jax.sharding import Mesh

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.rules import REPLICATED, Rules

AXES = ("replica", "data", "fsdp", "tensor")


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Sizes of the mesh axes, one of which may be -1 (all devices that are left), and the sharding rules."""

    replica: int = 1
    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    rules: Rules = REPLICATED

    def __post_init__(self):
        for axis in AXES:
            size = getattr(self, axis)
            if not isinstance(size, int) or (size < 1 and size != -1):
                raise ConfigError(f"MeshConfig.{axis} must be a positive integer, or -1 for what is left; got {size!r}")


def make_mesh(config: MeshConfig, devices: list[jax.Device] | None = None) -> Mesh:
    """A mesh over `devices` (default: all).

    Raises:
      ConfigError: the axes' sizes do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else devices
    sizes = [getattr(config, axis) for axis in AXES]
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or len(devices) % known or (-1 not in sizes and known != len(devices)):
        asked = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, sizes, strict=True))
        raise ConfigError(f"a mesh of {asked} does not fit {len(devices)} devices: their product must be that number")
    shape = [len(devices) // known if size == -1 else size for size in sizes]
    return Mesh(np.asarray(devices).reshape(shape), AXES)
