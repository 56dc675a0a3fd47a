"""The training loop. One number runs through it: updates done = the state's step = the data's next step."""

import contextlib
import logging

import jax
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.data.mixture import Mixture
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.parallel.hosts import of_first
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import summary
from flamingo_jax.training.host_batches import HostBatches, Tally
from flamingo_jax.training.interrupt import Interrupt
from flamingo_jax.training.run import RunConfig, run_tokenizer
from flamingo_jax.training.setup import set_up
from flamingo_jax.training.step_log import SilentLog, StepLog

_logger = logging.getLogger(__name__)


def train(config: RunConfig, workdir: str) -> int:
    """Trains until `config.steps` updates are done, from the newest checkpoint in `workdir` if there is one.

    Ctrl-C or SIGTERM saves a checkpoint and returns. Of several processes, all call this; one that is asked to stop
    stops them all, after the same update. The first one writes what is read by people; all write the checkpoints.

    Returns:
      The number of updates done.
    """
    workdir = epath.Path(workdir)
    # What a user may have got wrong is opened before the weights, which can take long to load.
    design = Design.make(config)
    workdir.exists()  # refuses a scheme that cannot be read
    mixture = Mixture(config.mixture, run_tokenizer(config))
    setup = set_up(design)
    _logger.info("%s", summary(design.shapes, design.labels))

    with contextlib.ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(workdir, config.checkpoints))
        state, start = setup.state, of_first(checkpoints.latest or 0)
        if start:
            state = checkpoints.restore(start, state, setup.fingerprint, config.model)
        if start >= config.steps:
            _logger.info("%s: all %d steps are done; nothing to do", workdir, start)
            return start
        log = SilentLog()
        if jax.process_index() == 0:
            (workdir / "config.json").write_text(config_lib.to_json(config))
            log = StepLog(stack, workdir, start, config.steps, config.log_every)
        stack.enter_context(design.scope())
        interrupt = stack.enter_context(Interrupt())
        rows = HostBatches(design)
        tally = Tally(rows, design)
        batches = stack.enter_context(BatchStream(mixture, start, rows.rows))
        step_fn = design.step

        step, stop = start, False
        while step < config.steps and not stop:
            batch = next(batches)
            sums = tally.begin(interrupt.requested, batch)
            state, metrics = step_fn(state, setup.frozen, rows.place(batch))
            step += 1
            log.record(step, metrics, sums)
            stop = sums.stop  # there by now: it was begun before the step
            checkpoints.check()
            if checkpoints.due(step):
                checkpoints.save(state, config, setup.fingerprint)
        log.flush()
        checkpoints.save(state, config, setup.fingerprint)
        checkpoints.wait()
    if step < config.steps and jax.process_index() == 0:
        _logger.warning("stopped and saved at step %d of %d; run the same command again to go on", step, config.steps)
    return step
