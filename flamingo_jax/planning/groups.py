"""Which chips take part in a collective together, as the text of a compiled program says it.

XLA writes groups of partitions in four ways (xla/hlo/ir/replica_group.cc, mesh_and_axis.cc):

- lists: `replica_groups={{0,1},{2,3}}`, where `{}` is all together;
- an iota reshaped, transposed and cut into groups: `replica_groups=[2,4]<=[4,2]T(1,0)`;
- axes of a mesh of the compiler's own: `replica_groups=mesh['a'=4,'b'=2] {'a'}`, where `'a':(2)2` is a part of an axis;
- pairs, of a permutation: `source_target_pairs={{0,1},{1,0}}`.
"""

import functools
import itertools
import math
import re

import numpy as np

_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\](?:, device_ids=\((.*?)\))? \{([^}]*)\}")
_LISTS = re.compile(r"(?:replica_groups|source_target_pairs)=\{((?:\{[\d,]*\},?)*)\}")


@functools.lru_cache(maxsize=1024)
def read_groups(attributes: str, partitions: int) -> np.ndarray:
    """Partitions of each group, `[groups, members]`; of a permutation `[pairs, 2]` from and to.

    Raises:
      ValueError: the attributes name no groups.
    """
    if match := _IOTA.search(attributes):
        shape, sizes = _integers(match.group(1)), _integers(match.group(2))
        ids = np.arange(math.prod(sizes)).reshape(sizes)
        return ids.transpose(_integers(match.group(3)) if match.group(3) else range(len(sizes))).reshape(shape)
    if match := _MESH.search(attributes):
        return _mesh_groups(*match.groups())
    if match := _LISTS.search(attributes):
        groups = [_integers(group) for group in re.findall(r"\{([\d,]*)\}", match.group(1))]
        groups = [group for group in groups if group]
        longest = max(map(len, groups), default=0)
        # Groups of different sizes do not occur in programs that are partitioned evenly: take the largest.
        return np.array([group for group in groups if len(group) == longest] or [range(partitions)])
    raise ValueError(f"no groups of chips in {attributes[:200]!r}")


def _mesh_groups(axes: str, ids: str | None, chosen: str) -> np.ndarray:
    names, sizes = zip(*(axis.split("=") for axis in axes.split(",")), strict=True)
    sizes = [int(size) for size in sizes]
    parts: dict[str, list[tuple[int, int]]] = {}
    order = []
    for reference in chosen.split(","):
        name, _, part = reference.strip().partition(":(")
        size = sizes[names.index(name)]
        before, after = map(int, part.split(")")) if part else (1, size)
        parts.setdefault(name, []).append((before, after))
        order.append((name, before))
    # Each axis is cut at the borders of its parts; the parts go last, in the order in which they are written.
    shape, places = [], {}
    for name, size in zip(names, sizes, strict=True):
        borders = sorted({1, size, *(edge for before, part in parts.get(name, ()) for edge in (before, before * part))})
        for low, high in itertools.pairwise(borders):
            places[name, low] = len(shape)
            shape.append(high // low)
    last = [places[reference] for reference in order if reference in places]
    first = [axis for axis in range(len(shape)) if axis not in last]
    flat = np.array(_integers(",".join(re.findall(r"\d+", ids)))) if ids else np.arange(math.prod(sizes))
    members = math.prod(shape[axis] for axis in last)
    return flat.reshape(shape).transpose(first + last).reshape(-1, members)


def _integers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]
