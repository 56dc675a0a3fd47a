"""The training loop. Two numbers run through it: updates done = the state's step, and the data's next step.

What holds, in this order, for every update:

1. The batch of data step d is a pure function of the configuration and d, whoever reads it.
2. What must be known by all processes is summed before the update; so all stop, save and roll back after the same one.
3. An update that is not finite is never applied. Its verdict is read one update later, so the host runs ahead by one.
4. A checkpoint holds an update that was looked at, and the two numbers that belong to it.
"""

import contextlib
import logging
import time

import jax
from etils import epath

from flamingo_jax.data.mixture import Mixture
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.parallel.hosts import any_of
from flamingo_jax.training.design import Design
from flamingo_jax.training.evaluations import Evaluations
from flamingo_jax.training.freezing import merge, summary
from flamingo_jax.training.goodput import Goodput
from flamingo_jax.training.guard import Guard
from flamingo_jax.training.host_batches import HostBatches, Idle, Tally
from flamingo_jax.training.interrupt import Interrupt, Interrupted
from flamingo_jax.training.lease import Lease
from flamingo_jax.training.profiling import Profile
from flamingo_jax.training.programs import compile_steps
from flamingo_jax.training.resume import Keeper
from flamingo_jax.training.run import RunConfig, run_tokenizer
from flamingo_jax.training.run_file import write_run
from flamingo_jax.training.setup import set_up
from flamingo_jax.training.step_log import SilentLog, StepLog
from flamingo_jax.training.utilization import Utilization, step_flops

_logger = logging.getLogger(__name__)


def train(
    config: RunConfig, workdir: str, *, accept_changes: bool = False, profile_steps: tuple[int, int] | None = None
) -> int:
    """Trains until `config.steps` updates are done, from the newest checkpoint in `workdir` if there is one.

    Ctrl-C or SIGTERM saves a checkpoint and returns. Of several processes, all call this; one that is asked to stop
    stops them all, after the same update. The first one writes what is read by people; all write the checkpoints.

    Args:
      accept_changes: whether to go on though the configuration is another than the checkpoint's, see
        `training.changes`.
      profile_steps: the first and the last update to trace.

    Returns:
      The number of updates done.

    Raises:
      Interrupted: asked to stop before the first update of this start; nothing is lost.
      LeaseError: another run works in `workdir`.
      HealthError: an update went wrong, and the policy is to stop.
      CheckpointError, ConfigError and what reading weights and data raises: with what to do.
    """
    workdir, clock = epath.Path(workdir), Goodput()
    # What a user may have got wrong is opened before the weights, which can take long to load.
    design = Design.make(config)
    workdir.exists()  # refuses a scheme that cannot be read
    mixture = Mixture(config.mixture, run_tokenizer(config))

    with contextlib.ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        lease = stack.enter_context(Lease(workdir)) if jax.process_index() == 0 else None
        with interrupt.at_once():
            keeper = stack.enter_context(Keeper(config, workdir, clock))
            setup = set_up(design, resumed=keeper.resumes(accept_changes))
            _logger.info("%s", summary(design.shapes, design.labels))
        if lease:
            lease.check()
        state, position, resumed = keeper.begin(setup)
        if position.step >= config.steps:
            _logger.info("%s: all %d steps are done; nothing to do", workdir, position.step)
            return position.step
        log = SilentLog(stack)
        if jax.process_index() == 0:
            write_run(workdir, config, position.step)
            log = StepLog(
                stack,
                workdir,
                position.step,
                config.steps,
                config.log_every,
                goodput=clock,
                utilization=Utilization(step_flops(design), list(design.mesh.devices.flat)),
                facts={"data_step": position.data_step} if resumed else None,
            )
        profile = stack.enter_context(Profile(workdir, profile_steps, position.step, config.steps))
        try:
            with clock.phase("compile"):
                programs = compile_steps(design, interrupt)
            log.event("compiled", position.step, seconds=clock.seconds()["compile"])
        except Interrupted:
            _logger.warning("stopped while compiling: the checkpoint of step %d stands", position.step)
            raise
        evaluations = Evaluations(config.evaluations, design, config.steps)
        guard = Guard(config.health, mixture, workdir, log.event)
        rows = HostBatches(design)
        tally = Tally(rows, design)
        batches = stack.enter_context(BatchStream(mixture, position.data_step, rows.rows))
        clock.begin()

        def save() -> None:
            log.flush()  # what a checkpoint holds is logged
            log.event("saved", position.step, seconds=keeper.save(state, position))
            interrupt.save = False

        stop, idle = False, Idle()
        while position.step < config.steps and not stop:
            # Of several processes none may stop alone.
            batch, waited = batches.timed(lambda: interrupt.requested and jax.process_count() == 1)
            if batch is None:  # it was asked to stop, and the data may stay away for long
                if not guard.flush():
                    save()
                break
            sums = tally.begin(batch, stop=interrupt.requested, save=interrupt.save or keeper.overdue, idle=idle)
            profile.before(position.step + 1)
            state, metrics = programs[tuple(batch)](state, setup.frozen, rows.place(batch))
            given = time.monotonic()
            profile.after(position.step + 1, metrics["loss"])
            position.advance(sums.seen)  # there by now: they were begun before the step
            stop = sums.stop
            idle = log.record(position.step, metrics, sums, position.seen, waited, tuple(batch), given)
            back = guard.record(position.step, position.data_step - 1, metrics, sums)
            if lease:
                lease.check()
            keeper.check()
            evaluates = evaluations.due(position.step)  # what takes long begins when all is saved
            if keeper.due(position.step) or sums.save or stop or evaluates or position.step == config.steps:
                back = guard.flush() or back
                if not back:
                    save()
            if back:
                guard.check_roll_back(position)
                state, position = keeper.roll_back(state, position, log.event)
                guard.forget()
            elif evaluates and not stop:
                with clock.phase("evaluate"):
                    params = merge(state.params, setup.frozen)
                    found = evaluations(position.step, params, lambda: any_of(interrupt.requested))
                log.evaluated(position.step, found)
        log.flush()
        keeper.wait()
        if position.step == config.steps:
            log.event("end", position.step)
        else:
            log.event("stop", position.step, reason="asked to")
    if position.step < config.steps and jax.process_index() == 0:
        _logger.warning(
            "stopped and saved at step %d of %d; run the same command again to go on", position.step, config.steps
        )
    return position.step
