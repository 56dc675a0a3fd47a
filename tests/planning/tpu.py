"""Programs compiled for TPUs that are not there, by libtpu, for the tests of this folder."""

import importlib.util
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.parallel.topology import Topology, compiler_environment, parse_topology

for _name, _value in compiler_environment().items():  # before any test loads libtpu
    os.environ.setdefault(_name, _value)

needs_libtpu = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="needs libtpu: pip install 'flamingo-jax[plan]'"
)


def make(name: str, shape: tuple[int, ...], axes: tuple[str, ...], slices: int = 1) -> tuple[Topology, Mesh]:
    """A topology, and a mesh of its first devices in the order slice, z, y, x: the last axis runs along x."""
    topology = parse_topology(name, slices)
    devices = sorted(topology.devices(), key=lambda one: (getattr(one, "slice_index", None) or 0, one.coords[::-1]))
    return topology, Mesh(np.array(devices[: int(np.prod(shape))]).reshape(shape), axes)


def one_chip(name: str) -> tuple[Topology, Mesh]:
    """A topology and a mesh of one of its chips."""
    return make(name, (1,), ("x",))


def array(mesh: Mesh, *sizes: int, spec: tuple = (), dtype=jnp.bfloat16) -> jax.ShapeDtypeStruct:
    """An argument to compile for."""
    return jax.ShapeDtypeStruct(sizes, dtype, sharding=NamedSharding(mesh, PartitionSpec(*spec)))


def text(function, *arguments) -> str:
    """Of the compiled program."""
    return jax.jit(function).lower(*arguments).compile().as_text()
