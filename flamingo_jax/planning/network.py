"""How long chips need to exchange data: a bandwidth model of tori of chips, and of the network between slices.

The model is that of Austin et al., "How to Scale Your Model", chapters "How to Think About TPUs" and "Sharded Matrices"
(jax-ml.github.io/scaling-book): an all-gather of V bytes over a ring takes V / W, with W the bandwidth of a link in
both directions, because half of the data go round each way; where the links do not close to a ring, the chip at the end
gets all through one link, and W is that of one direction. Over several dimensions of the torus the bandwidths add up. A
reduce-scatter costs the same, an all-reduce both, and all move (n - 1) / n of V with n chips. Data that hop over
intermediate chips load every link on the way: permutations and all-to-alls are routed along one dimension after the
other, and the busiest link decides. A hop takes at least a microsecond.
"""

import functools
import math

import numpy as np
from jax.sharding import Mesh

from flamingo_jax.parallel.topology import Topology

HOP_SECONDS = 1e-6  # "How to Scale Your Model", "A note on ICI latency"


class Network:
    """The partitions of a program, where they are in the torus and in the mesh.

    A program of several slices is compiled as the program of one: its partitions are that slice's devices in the order
    of the mesh, and what goes between slices is left to sends and receives.
    """

    def __init__(self, topology: Topology, mesh: Mesh):
        self._topology = topology
        devices = list(mesh.devices.flat)
        slices = np.array([getattr(device, "slice_index", None) or 0 for device in devices])
        within = slices == slices[0]
        axes = np.array(list(np.ndindex(mesh.devices.shape))).reshape(len(devices), -1)
        self._names = mesh.axis_names
        self._axes = axes[within]
        self.partitions = int(within.sum())
        dimensions = topology.chip.dimensions
        coordinates = [device.coords[:dimensions] for device, here in zip(devices, within, strict=True) if here]
        self._places = np.array(coordinates).reshape(self.partitions, dimensions)
        self.slice_axes = tuple(
            name
            for index, name in enumerate(mesh.axis_names)
            if (np.ptp(np.moveaxis(slices.reshape(mesh.devices.shape), index, 0), axis=0) != 0).any()
        )

    def axes(self, groups: np.ndarray) -> tuple[str, ...]:
        """The axes of the mesh along which the members of a group differ."""
        differ = np.ptp(self._axes[groups], axis=1).any(axis=0)
        return tuple(name for name, each in zip(self._names, differ, strict=True) if each)

    def seconds(self, kind: str, groups: np.ndarray, payload: int) -> float:
        """Of one collective inside a slice.

        Args:
          kind: all-gather, reduce-scatter, all-reduce, all-to-all or collective-permute.
          groups: as `read_groups` gives them.
          payload: bytes that each chip puts in.
        """
        link = self._topology.chip.link_bandwidth
        key = (groups.shape, np.ascontiguousarray(groups, dtype=np.int64).tobytes())
        if kind in ("collective-permute", "all-to-all"):
            load, hops = self._routed(kind, key)
            share = payload if kind == "collective-permute" else payload / groups.shape[1]
            return float(max(load * share / link, hops * HOP_SECONDS))
        links, hops = self._rings(key)
        passes = 2 if kind == "all-reduce" else 1
        return float(max(sent_bytes(kind, payload, groups.shape[1]) / (links * link), passes * hops * HOP_SECONDS))

    def slice_seconds(self, sent: float) -> float:
        """Of `sent` bytes of each chip that go to other slices."""
        return sent / self._topology.chip.dcn_bandwidth

    @functools.lru_cache(maxsize=1024)  # noqa: B019 - a network lives as long as its one estimate
    def _rings(self, key: tuple) -> tuple[float, int]:
        """Links (in one direction) that a member of the worst-placed group has, and hops from end to end."""
        groups = np.frombuffer(key[1], dtype=np.int64).reshape(key[0])
        worst = (math.inf, 0)
        for group in groups:
            places = self._places[group]
            values = [np.unique(places[:, axis]) for axis in range(places.shape[1])]
            if math.prod(map(len, values)) != len(group):
                return self._one_ring(groups)
            links, hops = 0.0, 0
            for axis, along in enumerate(values):
                if len(along) > 1:
                    more, far = self._line(axis, along)
                    links, hops = links + more, hops + far
            if links and links < worst[0]:
                worst = (links, hops)
        return worst

    def _line(self, axis: int, places: np.ndarray) -> tuple[float, int]:
        """Links and hops of evenly or unevenly spaced places along one dimension."""
        size = self._topology.shape[axis]
        gaps = np.diff(places)
        if self._topology.wraps[axis]:
            gaps = np.append(gaps, size - places[-1] + places[0])
            if (gaps == gaps[0]).all():  # all round; groups between whose members others lie share their links
                return 2 / gaps[0], size // 2
            gaps = np.delete(gaps, gaps.argmax())
        return 1 / gaps.max(), int(gaps.sum())

    def _one_ring(self, groups: np.ndarray) -> tuple[float, int]:
        """Of groups that are no boxes of the torus: each sends round in its own order, one way."""
        pairs = np.stack([groups, np.roll(groups, -1, axis=1)], axis=-1).reshape(-1, 2)
        load, hops = self._route(pairs)
        return 1 / max(load, 1), hops * (groups.shape[1] - 1)

    @functools.lru_cache(maxsize=1024)  # noqa: B019
    def _routed(self, kind: str, key: tuple) -> tuple[int, int]:
        groups = np.frombuffer(key[1], dtype=np.int64).reshape(key[0])
        if kind == "collective-permute":
            return self._route(groups)
        members = groups.shape[1]
        others = [np.stack([groups, np.roll(groups, shift, axis=1)], axis=-1) for shift in range(1, members)]
        return self._route(np.concatenate(others).reshape(-1, 2))

    def _route(self, pairs: np.ndarray) -> tuple[int, int]:
        """Messages over the busiest link, and hops of the longest way, if each pair sends one message."""
        place, target = self._places[pairs[:, 0]].copy(), self._places[pairs[:, 1]]
        shape = np.array(self._topology.shape)
        loads = np.zeros((*shape, len(shape), 2), dtype=np.int64)
        longest = np.zeros(len(pairs), dtype=np.int64)
        for axis, size in enumerate(shape):
            way = target[:, axis] - place[:, axis]
            if self._topology.wraps[axis]:
                way = (way + size // 2) % size - size // 2
                # Half way round both ways are as long: every second message takes the other.
                way[(way == -(size // 2)) & (size % 2 == 0) & (place.sum(axis=1) % 2 == 0)] *= -1
            longest += abs(way)
            while (moving := way != 0).any():
                sign = np.sign(way[moving])
                np.add.at(loads, (*place[moving].T, axis, (sign < 0).astype(int)), 1)
                place[moving, axis] = (place[moving, axis] + sign) % size
                way[moving] -= sign
        return int(loads.max(initial=0)), int(longest.max(initial=0))


def sent_bytes(kind: str, payload: int, members: int) -> float:
    """Bytes that each of `members` chips sends when it puts `payload` bytes into a collective.

    An all-gather sends each chip's part to all others; a reduce-scatter or an all-to-all all parts but its own; an
    all-reduce is a reduce-scatter and an all-gather of the result.
    """
    if kind == "all-gather":
        return payload * (members - 1)
    if kind == "collective-permute":
        return payload
    return payload * (members - 1) / members * (2 if kind == "all-reduce" else 1)
