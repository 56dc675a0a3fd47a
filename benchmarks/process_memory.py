"""Resident memory of a process and all its descendants, from /proc (Linux), with pages that they share counted once."""

import os
from pathlib import Path

_PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                # The program's name stands in brackets and may hold anything; the parent is two fields on.
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def megabytes(root: int) -> float:
    """The proportional set size of the tree in MB (10**6 bytes): a page that n processes share counts 1/n in each."""
    total = 0
    for process in tree(root):
        try:
            rollup = (_PROC / str(process) / "smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def cpu_seconds(root: int) -> float:
    """Seconds of processor time that the tree has used so far, without processes that ended."""
    ticks = 0
    for process in tree(root):
        try:
            fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += int(fields[11]) + int(fields[12])  # utime and stime
    return ticks / os.sysconf("SC_CLK_TCK")
