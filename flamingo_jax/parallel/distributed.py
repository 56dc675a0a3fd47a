"""Joins the processes of a run, one a host: found from what each platform puts into their environment.

    with distributed.joined(command_line.report):
        train(...)

- Ours, as `launch/local_processes.sh` sets it: FLAMINGO_COORDINATOR (host:port of process 0), FLAMINGO_NUM_PROCESSES
  and FLAMINGO_PROCESS_ID.
- TPU VMs, TPUs on GKE, SLURM and Open MPI: what `jax.distributed.initialize` finds by itself.
- Nothing of these: a single process.

When one of the processes dies, the others end with status `watch.STOPPED` (3) and a message, at once if its machine
still runs, else within `TIMEOUT_SECONDS`. They save nothing, as a checkpoint needs all of them; the newest one stands.
"""

import contextlib
import json
import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.watch import Watch

COORDINATOR, COUNT, INDEX = "FLAMINGO_COORDINATOR", "FLAMINGO_NUM_PROCESSES", "FLAMINGO_PROCESS_ID"
TIMEOUT_SECONDS = 40
"""After which a silent process counts as dead."""

_JAX_TIMEOUT_SECONDS = 55  # JAX's own, which then aborts: later than ours, and still within a minute
_JOIN_SECONDS = 300  # for all processes to come
_SHUTDOWN_SECONDS = 60
_ADDRESS_BYTES = 2048

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def joined(report: Callable[[BaseException], int], timeout_seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """A context in which this process is one of a run's. Enter it before anything touches a device.

    An exception that reaches its end ends this process there and then, and the others after it. Only process 0 logs
    what is no warning.

    Args:
      report: tells the user of an exception; returns the exit status. Of a single process, exceptions pass unseen.
      timeout_seconds: after which a silent process counts as dead.

    Raises:
      ConfigError: as `initialize`.
    """
    if not initialize() or jax.process_count() == 1:
        yield
        return
    ours, before = logging.getLogger("flamingo_jax"), logging.getLogger("flamingo_jax").level
    if jax.process_index():
        ours.setLevel(logging.WARNING)
    watch = _watch(timeout_seconds)
    try:
        yield
    except BaseException as error:
        if watch:
            watch.failed(error)
        status = report(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the usual way out would wait for the others, and then be aborted by JAX
    else:
        if watch:
            watch.leave()
        jax.distributed.shutdown()
    finally:
        ours.setLevel(before)


def initialize() -> bool:
    """Sets up `jax.distributed`; False where the environment speaks of no other processes.

    Raises:
      ConfigError: the environment is incomplete or wrong, or the processes do not come together in 5 minutes.
    """
    with contextlib.suppress(AttributeError):
        # It would swallow SIGTERM before the training loop listens to it, and has no use after.
        jax.config.update("jax_enable_preemption_service", False)
    settings: dict[str, Any] = {
        "initialization_timeout": _JOIN_SECONDS,
        "heartbeat_timeout_seconds": _JAX_TIMEOUT_SECONDS,
        "shutdown_timeout_seconds": _SHUTDOWN_SECONDS,
    }
    ours = _from_environment(os.environ)
    # JAX gives a process of SLURM the one GPU of its number on the node; alone on its node it has all of them.
    settings |= ours or ({"local_device_ids": []} if _one_task_a_node(os.environ) else {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it would look for Kubernetes, were a package installed
            jax.distributed.initialize(**settings)
    except Exception as error:
        if not ours and "coordinator_address should be defined" in str(error):
            return False
        raise ConfigError(
            f"this process cannot join the others of its run: {_first_line(error)}. Do all of them run, can they reach "
            f"the coordinator{' ' + ours['coordinator_address'] if ours else ''}, and is its port free?"
        ) from error
    return True


def refuse_several(what: str) -> None:
    """Raises ConfigError if this process was started as one of several."""
    counts = {name: os.environ.get(name, "1") for name in (COUNT, "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")}
    for name, count in counts.items():
        if count != "1":
            raise ConfigError(f"{what} runs in a single process, but {name} is {count}: start it once, without it")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """The arguments of `jax.distributed.initialize` from our own variables; None where none is set."""
    names = (COORDINATOR, COUNT, INDEX)
    missing = [name for name in names if not environment.get(name)]
    if len(missing) == len(names):
        return None
    if missing:
        there = [name for name in names if name not in missing]
        raise ConfigError(f"{' and '.join(there)} set, but not {' and '.join(missing)}: set all three, or none")
    coordinator, count, index = (environment[name] for name in names)
    if not re.fullmatch(r"\S+:\d{1,5}", coordinator):
        raise ConfigError(f"{COORDINATOR} is the host:port of process 0, got {coordinator!r}")
    if not re.fullmatch(r"[1-9]\d*", count):
        raise ConfigError(f"{COUNT} is the number of processes, got {count!r}")
    if not re.fullmatch(r"\d+", index) or int(index) >= int(count):
        raise ConfigError(f"{INDEX} is this process's number, from 0 to {int(count) - 1}, got {index!r}")
    return {
        "coordinator_address": coordinator,
        "num_processes": int(count),
        "process_id": int(index),
        "cluster_detection_method": "deactivate",
    }


def _one_task_a_node(environment: Mapping[str, str]) -> bool:
    """Whether SLURM runs one process on each node, as `SLURM_STEP_TASKS_PER_NODE` tells: "1" or "1(x16)"."""
    return bool(re.fullmatch(r"1(\(x\d+\))?", environment.get("SLURM_STEP_TASKS_PER_NODE", "")))


def _watch(timeout_seconds: float) -> Watch | None:
    """The watch over all processes, begun; None if this one cannot take part in it."""
    watch = Watch(jax.process_index(), jax.process_count(), timeout_seconds)
    buffer = np.zeros(_ADDRESS_BYTES, np.uint8)
    if jax.process_index() == 0:
        address = json.dumps(watch.listen(_own_addresses())).encode()
        buffer[: len(address)] = np.frombuffer(address, np.uint8)
    buffer = np.asarray(multihost_utils.broadcast_one_to_all(buffer), np.uint8)
    if jax.process_index() == 0 or watch.connect(json.loads(buffer.tobytes().rstrip(b"\0"))):
        return watch
    _logger.warning(
        "process %d cannot reach the watch of process 0 (a firewall between the hosts?): if another process dies, "
        "JAX will abort this one after up to %d s, without saying which it was",
        jax.process_index(),
        _JAX_TIMEOUT_SECONDS,
    )
    return None


def _own_addresses() -> list[str]:
    """Under which others may reach this machine, the likeliest first; the last is its name."""
    found = []
    if coordinator := os.environ.get(COORDINATOR):
        found.append(coordinator.rpartition(":")[0].strip("[]"))
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of no machine (RFC 5737); nothing is sent, but an interface is chosen
        found.append(probe.getsockname()[0])
    return list(dict.fromkeys([*found, socket.gethostname()]))


def _first_line(error: BaseException) -> str:
    return next((line.strip().rstrip(".") for line in str(error).splitlines() if line.strip()), type(error).__name__)
