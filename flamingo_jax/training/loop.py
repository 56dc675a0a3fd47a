"""The training loop. One number runs through it: updates done = the state's step = the data's next step."""

import collections
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import linen as nn
from jax.sharding import NamedSharding

from flamingo_jax import config as config_lib
from flamingo_jax.data.merging import skipped_by_dataset
from flamingo_jax.data.mixture import Mixture
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.parallel.mesh import make_mesh
from flamingo_jax.parallel.rules import batch_sharding, check_batches
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.interrupt import Interrupt
from flamingo_jax.training.metrics import MetricsWriter, Progress
from flamingo_jax.training.optimizer import schedule
from flamingo_jax.training.run import RunConfig, run_tokenizer, set_up
from flamingo_jax.training.step import Batch, LossConfig, make_step

_logger = logging.getLogger(__name__)
_HOST_ONLY = ("skipped",)


def train(config: RunConfig, workdir: str) -> int:
    """Trains until `config.steps` updates are done, from the newest checkpoint in `workdir` if there is one.

    Ctrl-C or SIGTERM saves a checkpoint and returns.

    Returns:
      The number of updates done.
    """
    workdir = epath.Path(workdir)
    sizes = {name: dataset.batch_size for name, dataset in config.mixture.datasets}
    check_batches(sizes, make_mesh(config.mesh), config.mesh.rules)
    # What a user may have got wrong is opened before the weights, which can take long to load.
    workdir.exists()  # refuses a scheme that cannot be read
    mixture = Mixture(config.mixture, run_tokenizer(config))
    setup = set_up(config)
    _logger.info("%s", setup.parameter_table)
    rate = schedule(config.optimizer, config.steps)
    loss = LossConfig(mixture.weights, config.loss_per)
    step_fn = jax.jit(make_step(setup.model, setup.optimizer, rate, loss), donate_argnums=0)

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(workdir, config.checkpoints))
        state, start = setup.state, checkpoints.latest or 0
        if start:
            state = checkpoints.restore(start, state, setup.fingerprint, config.model)
        if start >= config.steps:
            _logger.info("%s: all %d steps are done; nothing to do", workdir, start)
            return start
        (workdir / "config.json").write_text(config_lib.to_json(config))
        log = _Log(stack, workdir, start, config)
        stack.enter_context(nn.logical_axis_rules(config.mesh.rules))
        stack.enter_context(jax.set_mesh(setup.mesh))
        interrupt = stack.enter_context(Interrupt())
        batches = stack.enter_context(BatchStream(mixture, start, (jax.process_index(), jax.process_count())))
        sharding = batch_sharding(setup.mesh, config.mesh.rules)

        step = start
        while step < config.steps and not interrupt.requested:
            batch = next(batches)
            state, metrics = step_fn(state, setup.frozen, _place(batch, sharding))
            step += 1
            log.record(step, metrics, batch)
            checkpoints.check()
            if checkpoints.due(step):
                checkpoints.save(state, config, setup.fingerprint)
        log.flush()
        checkpoints.save(state, config, setup.fingerprint)
        checkpoints.wait()
    if step < config.steps:
        _logger.warning("stopped and saved at step %d of %d; run the same command again to go on", step, config.steps)
    return step


def _place(batch: Batch, sharding: NamedSharding) -> dict[str, dict[str, jax.Array]]:
    """This host's rows, as its part of the global batch."""
    return {
        name: {
            key: jax.make_array_from_process_local_data(sharding, value)
            for key, value in part.items()
            if key not in _HOST_ONLY
        }
        for name, part in batch.items()
    }


class _Log:
    """Writes each step's metrics one step late, when they are surely computed: the host never waits for the device."""

    def __init__(self, stack: contextlib.ExitStack, workdir: epath.Path, start: int, config: RunConfig):
        self._every, self._last = config.log_every, config.steps
        self._datasets = [name for name, _ in config.mixture.datasets]
        self._writer = stack.enter_context(contextlib.closing(MetricsWriter(workdir)))
        self._progress = stack.enter_context(contextlib.closing(Progress(start, config.steps)))
        self._pending: tuple[int, Mapping[str, Any], dict[str, float]] | None = None
        self._latest: dict[str, Any] = {}  # since the last written step: not all datasets need be in each
        self._skipped: collections.Counter[str] = collections.Counter()
        if start:
            self._writer.event("resume", start)
            _logger.info("resuming from step %d", start)

    def record(self, step: int, metrics: Mapping[str, Any], batch: Batch) -> None:
        """Takes the metrics of an update that may still be running, and writes those of the one before."""
        self.flush()
        tokens = sum(int(np.count_nonzero(part["segment_ids"])) for part in batch.values())
        counts = skipped_by_dataset(batch, self._datasets)
        self._skipped.update({f"skipped/{name}": float(np.sum(rows)) for name, rows in counts.items()})
        self._pending = (step, metrics, {"tokens": float(tokens)})

    def flush(self) -> None:
        """Waits for the pending update and writes its metrics, if it is one to log."""
        if self._pending is None:
            return
        (step, metrics, host), self._pending = self._pending, None
        loss = float(metrics["loss"])
        self._latest.update(metrics)
        speed = self._progress.tick(host["tokens"])
        if step % self._every == 0 or step in (1, self._last):
            self._progress.show(loss, speed["tokens_per_second"])
            latest = {name: float(value) for name, value in self._latest.items()}
            self._writer.write(step, latest | dict(self._skipped) | host | speed)
            self._latest.clear()
            self._skipped.clear()
