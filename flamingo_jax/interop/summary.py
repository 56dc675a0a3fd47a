"""What a conversion moved, and what it left behind and why, as a table for people."""

import collections
import math
import re
from collections.abc import Iterable

import numpy as np

from flamingo_jax.interop.conversion import Dropped, Parameters, Target
from flamingo_jax.interop.weight_map import some

# Of the formats here, only those of transformers want tensors that a Flamingo has no use for.
_UNUSED = "transformers wants it; no output of ours depends on it"


def summary(parameters: Parameters, target: Target) -> str:
    """Counts by module, and every reason for which something was dropped or made up."""
    modules: dict[str, list[int]] = {}
    for rule in target.rules:
        for name in rule.ours:
            size = math.prod(parameters.specs[name].shape)
            row = modules.setdefault(_module(name), [0, 0, 0])
            row[:] = row[0] + 1, row[1] + size, row[2] + size * target.specs[rule.theirs].dtype.itemsize
    modules["total"] = [sum(column) for column in zip(*modules.values(), strict=True)] if modules else [0, 0, 0]
    width = max(map(len, modules))
    lines = ["mapped:"]
    for module, (tensors, size, nbytes) in modules.items():
        lines.append(f"  {module:<{width}}  {tensors:>6,} tensors  {size:>17,} parameters  {_size(nbytes):>9}")
    for title, dropped in (("not read", parameters.dropped), ("not written", target.dropped)):
        lines += _reasons(title, dropped)
    made_up = [f"  {name} (zeros): {reason}" for name, reason in parameters.zeros.items()]
    made_up += [f"  {name} ({_filling(array)}): {_UNUSED}" for name, array in target.constants.items()]
    if made_up:
        lines += ["made up:", *made_up]
    return "\n".join(lines)


def _reasons(title: str, dropped: Iterable[Dropped]) -> list[str]:
    groups: dict[str, list[Dropped]] = collections.defaultdict(list)
    for entry in dropped:
        groups[entry.reason].append(entry)
    lines = []
    for reason, entries in sorted(groups.items()):
        size = _size(sum(entry.nbytes for entry in entries))
        names = some(sorted(entry.name for entry in entries), 2)
        count = "1 tensor" if len(entries) == 1 else f"{len(entries):,} tensors"
        lines.append(f"  {count} ({size}; {names}): {reason}")
    return [f"{title}:", *lines] if lines else []


def _filling(array: np.ndarray) -> str:
    if not array.any():
        return "zeros"
    return "ones" if (array == 1).all() else "constant"


def _module(name: str) -> str:
    found = re.match(r"language_model/gated_cross_attention|[^/]+", name)
    return found[0]


def _size(nbytes: int) -> str:
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= least:
            return f"{nbytes / least:.1f} {unit}"
    return f"{nbytes} B"
