"""Batches prepared ahead by threads and processes, with Grain."""

import contextlib
import functools
import itertools
import math
import multiprocessing
import multiprocessing.connection
import multiprocessing.queues
import multiprocessing.resource_tracker
import multiprocessing.synchronize
import multiprocessing.util
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import grain
import numpy as np
from absl import flags

from flamingo_jax.data.example import BATCH_KEYS, Batch
from flamingo_jax.data.merging import by_dataset
from flamingo_jax.data.mixture import Mixture, Rows, resolve_rows
from flamingo_jax.data.read_ahead import ReadAhead
from flamingo_jax.data.skips import SkipMonitor

_SHARED_MEMORY = "/dev/shm"
_SMALL_ARRAY = 1 << 16  # bytes; below this a copy through a pipe is cheaper than shared memory.
_POLL = 0.1  # seconds; how soon a worker that is about to end notices what the caller did.
_FOREVER = 1 << 48  # sub-batches; Grain's datasets have a length.


class BatchStream:
    """An endless iterator over the batches of a mixture from a step on. Close it, or use it in a `with` statement.

    The batches are those of `Mixture.batch`, whatever the number of workers and threads; they are plain arrays that the
    caller may keep. After an interrupt (Ctrl-C) in the caller, `close` still ends all workers; they also end by
    themselves when the calling process dies.

    Attributes:
      step: of the batch that comes next.
      skips: how many documents were used, and how many unusable records were replaced, by dataset, since the start.
    """

    def __init__(self, mixture: Mixture, start_step: int = 0, rows: Rows = None):
        """
        Args:
          start_step: the first step to give.
          rows: as in `Mixture.batch`: those that this host's devices need.
        """
        config = mixture.config
        self.step = start_step
        self._names = list(mixture.datasets)
        per_row = {name: dataset.documents_per_row for name, dataset in mixture.datasets.items()}
        self.skips = SkipMonitor(config.max_skip_rate, per_row)
        for name, dataset in mixture.datasets.items():
            resolve_rows(rows, name, dataset.batch_size)
        elements = grain.MapDataset.source(_SubBatches(mixture, start_step, rows))
        ahead = 0 if not config.workers and not config.threads else config.prefetch
        options = grain.ReadOptions(num_threads=min(config.threads, ahead), prefetch_buffer_size=ahead)
        data = elements.to_iter_dataset(options)
        if config.workers:
            if not flags.FLAGS.is_parsed():
                flags.FLAGS.mark_as_parsed()  # Grain hands its own flags on to the workers and refuses unparsed ones.
            # Whichever thread starts this helper process has SIGINT unblocked; the read-ahead thread wants it blocked.
            multiprocessing.resource_tracker.ensure_running()
            shared = _shared_memory_suffices(mixture, rows)
            transport = grain.experimental.DatasetOptions(min_shm_size=_SMALL_ARRAY if shared else sys.maxsize)
            data = grain.experimental.WithOptionsIterDataset(data, transport).mp_prefetch(
                grain.MultiprocessingOptions(num_workers=config.workers, per_worker_buffer_size=1),
                worker_init_fn=functools.partial(_prepare_worker, shared),
            )
        steps = _steps(data, mixture, start_step)
        self._steps = ReadAhead(steps) if config.workers else steps

    def __iter__(self) -> "BatchStream":
        return self

    def __next__(self) -> dict[str, Batch]:
        """The batch of `step`.

        Raises:
          RecordError, SourceError: as `Mixture.batch`.
          SkipRateError: too many records of a dataset are unusable.
          StopIteration: the stream is closed.
        """
        try:
            batches = next(self._steps)
            for name, part in by_dataset(batches, self._names, ["skipped"]).items():
                self.skips.add(name, part["skipped"])
        except BaseException:
            self.close()
            raise
        self.step += 1
        return batches

    def timed(self, give_up: Callable[[], bool] = lambda: False) -> tuple[dict[str, Batch] | None, float]:
        """The batch of `step`, or None if `give_up` says so while it does not come; and the seconds that this took.

        Without workers this thread reads itself, and asks nobody.
        """
        began = time.monotonic()
        there = self._steps.wait(give_up) if isinstance(self._steps, ReadAhead) else True
        return next(self) if there else None, time.monotonic() - began

    def close(self) -> None:
        """Ends all threads and processes of the stream. May be called more than once."""
        self._steps.close()

    def __enter__(self) -> "BatchStream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def _steps(data: grain.IterDataset, mixture: Mixture, start_step: int) -> Generator[dict[str, Batch], None, None]:
    ready: dict[tuple[str, int], Batch] = {}
    with contextlib.closing(iter(data)) as sub_batches:
        for step in itertools.count(start_step):
            wanted = [(name, step) for name in mixture.schedule.datasets(step)]
            while not all(part in ready for part in wanted):
                name, made_for, batch = next(sub_batches)
                # Grain's arrays live in shared memory, which is scarce and goes when they do.
                ready[name, made_for] = {key: _own(batch[key]) for key in BATCH_KEYS}
            yield mixture.join({name: ready.pop((name, step)) for name, step in wanted})


class _SubBatches:
    """The sub-batches of all steps in one sequence, cycle by cycle of the mixture's schedule.

    Grain deals elements to its workers in turn, and where their number shares a divisor with that of the sub-batches of
    a cycle, some of them would never get the clips. So as many neighbours as the greatest common divisor change places
    from time to time: none comes later by more.
    """

    def __init__(self, mixture: Mixture, start_step: int, rows: Rows):
        self._mixture, self._start_step, self._rows = mixture, start_step, rows
        self._steps = len(mixture.schedule.cycle)
        steps = range(start_step, start_step + self._steps)
        self._first_cycle = [(name, step) for step in steps for name in mixture.schedule.datasets(step)]
        workers = max(1, mixture.config.workers)
        self._neighbours = math.gcd(len(self._first_cycle), workers)
        self._cycles = workers // self._neighbours  # after so many, each worker is where it was

    def __len__(self) -> int:
        return _FOREVER

    def __getitem__(self, index: int) -> tuple[str, int, Batch]:
        cycle, place = divmod(int(index), len(self._first_cycle))
        block, within = divmod(place, self._neighbours)
        moved = (within + cycle // self._cycles) % self._neighbours
        name, step = self._first_cycle[block * self._neighbours + moved]
        step += cycle * self._steps
        return name, step, self._mixture.sub_batch(name, step, self._rows)

    def __repr__(self) -> str:
        return f"batches of {', '.join(self._mixture.datasets)} from step {self._start_step}"


def _own(array: np.ndarray) -> np.ndarray:
    return array if type(array) is np.ndarray else np.array(array, copy=True, subok=False)


def _shared_memory_suffices(mixture: Mixture, rows: Rows) -> bool:
    """Whether batches may go from the workers through shared memory, as is fastest, or must go through pipes.

    Containers often have 64 MB of it, and a process that writes more than there is dies without a message.
    """
    largest = 0
    for name, dataset in mixture.datasets.items():
        pixels = dataset.images_per_row * dataset.num_frames * dataset.image_size**2 * 3
        largest = max(largest, pixels * len(resolve_rows(rows, name, dataset.batch_size)))
    # For each worker: one batch being written, one or two in the queue, one in the reader's buffer.
    needed = 4 * largest * mixture.config.workers
    try:
        return needed < shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:
        return False


def _prepare_worker(shared: bool, index: int, count: int) -> None:
    """Runs in each worker: Ctrl-C is the caller's to handle, and a worker whose caller was killed must not linger."""
    del index, count
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_with, args=(parent.sentinel,), daemon=True).start()
    if not shared:
        # What Grain gives to the main function of a worker. Looked up now, so that an error would reach the caller.
        passed = multiprocessing.current_process()._kwargs
        multiprocessing.util.Finalize(None, _empty, (passed["buffer"], passed["should_stop"]), exitpriority=100)


def _empty(batches: multiprocessing.queues.Queue, closed: multiprocessing.synchronize.Event) -> None:
    """Runs at a worker's end: returns when nothing is on its way through the pipe.

    A worker must not end in the middle of a batch: the caller, if it has begun to read that, would wait for the rest
    for ever. Nor may it wait for a reader once the stream is closed: the caller stops reading at some time.
    """
    while batches.full():  # It holds one batch at most, and counts it until all of it is read.
        if closed.is_set():
            with contextlib.suppress(queue.Empty):
                batches.get(timeout=_POLL)
        else:
            time.sleep(_POLL)


def _exit_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
