"""launch/slurm.sbatch as SLURM runs it: a copy elsewhere, with stand-ins for srun, scancel and scontrol."""

import shlex
import shutil
import signal
import subprocess

import pytest

from tests.patience import until

TRAINING = ("--gin_file=a 'b\".gin", "--workdir=/shared/a run", "--gin=x = '$HOME `date`'")
# Runs what comes after its own options once; what is in $STEP tells the step to end, as scancel does.
SRUN = """
while [[ "$1" == --* ]]; do shift; done
eval "${BEHAVIOUR-}"
"$@"
"""
WAITS = "touch $CALLS.runs; while [[ ! -e $CALLS.cancelled ]]; do sleep 0.05; done; exit ${SAVED:-130}"


class Slurm:
    def __init__(self, machine):
        self.machine = machine
        machine.stand_in("srun", SRUN)
        machine.stand_in("scancel", "touch $CALLS.cancelled")
        machine.stand_in("scontrol")
        self.python = machine.root / ".venv" / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        shutil.copy(machine.stand_in("python", 'echo "flags: $XLA_FLAGS"'), self.python)
        # SLURM runs a copy from its spool folder.
        self.script = machine.folder / "slurm_script"
        shutil.copy(machine.root / "launch" / "slurm.sbatch", self.script)

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen:
        variables = {"SLURM_JOB_ID": "77", "SLURM_SUBMIT_DIR": str(self.machine.root)} | environment
        return subprocess.Popen(
            [self.script, *arguments],
            cwd=self.machine.folder,
            env=self.machine.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def wait(self) -> None:
        until((self.machine.folder / "calls.runs").exists)

    def requeued(self) -> bool:
        return self.machine.calls("scontrol") == [["scontrol", "requeue", "77"]]


@pytest.fixture
def slurm(machine):
    return Slurm(machine)


def test_trains_in_the_checkout_with_the_chip_s_flags(slurm):
    status, output, errors = slurm.call("--", *TRAINING)
    assert status == 0, errors
    (call,) = slurm.machine.calls("python")
    assert call[1:] == ["-m", "flamingo_jax.train", *TRAINING]
    assert "xla_gpu_enable_latency_hiding_scheduler=true" in output
    assert slurm.machine.calls("srun")[0][1:4] == ["--kill-on-bad-exit=0", "--wait=120", "--label"]
    assert not slurm.machine.calls("scontrol")


def test_near_its_end_it_saves_and_goes_back_into_the_queue(slurm):
    job = slurm.start("--", *TRAINING, BEHAVIOUR=WAITS)
    slurm.wait()
    job.send_signal(signal.SIGTERM)
    _, errors = job.communicate(timeout=30)
    assert job.returncode == 0, errors
    assert slurm.machine.calls("scancel") == [["scancel", "--signal=TERM", "77"]]
    assert slurm.requeued()


def test_a_training_that_is_done_by_then_is_done(slurm):
    job = slurm.start("--", *TRAINING, BEHAVIOUR=WAITS, SAVED="0")
    slurm.wait()
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=30)
    assert job.returncode == 0 and not slurm.machine.calls("scontrol")


@pytest.mark.parametrize("status", [2, 130])
def test_a_mistake_or_a_person_s_stop_is_the_end(slurm, status):
    code, _, _ = slurm.call("--", *TRAINING, BEHAVIOUR=f"exit {status}")
    assert code == status and not slurm.machine.calls("scontrol")


def test_a_failure_goes_back_into_the_queue_but_not_at_the_start(slurm):
    status, _, errors = slurm.call("--", *TRAINING, BEHAVIOUR="exit 3")
    assert status == 3 and "failed at its start" in errors and not slurm.machine.calls("scontrol")
    late(slurm)
    status, _, _ = slurm.call("--", *TRAINING, BEHAVIOUR="exit 3")
    assert status == 0 and slurm.requeued()
    status, _, errors = slurm.call("--max-requeues=4", "--", *TRAINING, BEHAVIOUR="exit 3", SLURM_RESTART_COUNT="4")
    assert status == 3 and "not once more" in errors and slurm.requeued()


def late(slurm) -> None:
    """From now on each start has run for more than five minutes."""
    # Bash counts SECONDS from what it is told at its start.
    text = slurm.script.read_text().replace("set -euo pipefail", "set -euo pipefail; SECONDS=301", 1)
    slurm.script.write_text(text)


def test_failures_without_a_newer_checkpoint_come_to_an_end(slurm):
    late(slurm)
    checkpoints = slurm.machine.root / "runs" / "a run" / "checkpoints"
    training = ("--max-failures=3", "--", "--gin_file=g", "--workdir=runs/a run")

    def fails(checkpoint: str | None = None) -> bool:
        """Whether the job goes back into the queue after a start that leaves this checkpoint and fails."""
        if checkpoint:
            (checkpoints / checkpoint).mkdir(parents=True)
        before = len(slurm.machine.calls("scontrol"))
        status, _, errors = slurm.call(*training, BEHAVIOUR="exit 3")
        again = len(slurm.machine.calls("scontrol")) > before
        assert again or (status == 3 and "failed 3 times without a newer checkpoint" in errors)
        return again

    assert fails() and fails() and fails("20") and fails()
    # More digits, not more in the order of text; and one that was cut off while it was written.
    assert fails("100") and fails("200.orbax-checkpoint-tmp")
    assert not fails()
    # Who puts the job back into the queue by hand has mended something.
    assert fails() and fails() and not fails()
    # Each job has its own count.
    assert fails()
    assert fails() and slurm.call(*training, BEHAVIOUR="exit 3", SLURM_JOB_ID="78")[0] == 0


def test_failures_count_where_checkpoints_are_not_seen(slurm):
    late(slurm)
    training = ("--max-failures=2", "--", "--gin_file=g", "--workdir=gs://bucket/run")
    assert slurm.call(*training, BEHAVIOUR="exit 3")[0] == 0
    # A start that saved when its time was up went well.
    job = slurm.start(*training, BEHAVIOUR=WAITS)
    slurm.wait()
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=30)
    assert job.returncode == 0
    assert slurm.call(*training, BEHAVIOUR="exit 3")[0] == 0
    assert slurm.call(*training, BEHAVIOUR="exit 3")[0] == 3
    assert len(slurm.machine.calls("scontrol")) == 3


def test_nothing_is_left_of_a_job_that_is_done(slurm):
    late(slurm)
    slurm.call("--", *TRAINING, BEHAVIOUR="exit 3")
    records = slurm.machine.root / "runs" / "launch"
    assert [path.name for path in records.iterdir()] == ["slurm-77.failures"]
    assert slurm.call("--", *TRAINING)[0] == 0
    assert not list(records.iterdir())


def printed(slurm, *arguments: str) -> list[str]:
    before = slurm.machine.files()
    said = slurm.machine.call("slurm.sbatch", "--dry-run", *arguments, "--", *TRAINING)
    assert said.returncode == 0, said.stderr
    assert slurm.machine.files() == before
    return shlex.split(said.stdout)


def test_containers(slurm):
    root = slurm.machine.root
    pyxis = printed(slurm, "--pyxis=an image", "--mount=/data", "--mount", "/a b")
    assert "--container-image=an image" in pyxis and f"--container-workdir={root}" in pyxis
    assert f"--container-mounts={root}:{root},/data:/data,/a b:/a b" in pyxis
    apptainer = printed(slurm, "--apptainer", "an image.sif", "--mount=/data")
    start = apptainer.index("apptainer")
    assert apptainer[start : start + 6] == (
        ["apptainer", "exec", "--nv", f"--bind={root}:{root},/data:/data", f"--pwd={root}", "an image.sif"]
    )
    for command in (pyxis, apptainer, printed(slurm, "--venv", "/an env")):
        assert command[-len(TRAINING) - 2 :] == ["-m", "flamingo_jax.train", *TRAINING]
    assert "/an env/bin/python" in printed(slurm, "--venv", "/an env")


def test_nothing_binds_a_process_to_one_gpu(slurm):
    """JAX counts in all GPUs of the node, one process a GPU."""
    options = [line for line in slurm.script.read_text().splitlines() if line.startswith("#SBATCH ")]
    values = dict(line.removeprefix("#SBATCH --").split("=") for line in options if "=" in line)
    assert values["ntasks-per-node"] == values["gpus-per-node"]
    assert values["signal"].startswith("B:TERM@") and "#SBATCH --requeue" in options
    assert not any("per-task" in word or "gpu-bind" in word for word in printed(slurm) if word.startswith("--gpu"))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--", "--workdir=w"], "--gin_file"),
        (["--", "--gin_file=g"], "--workdir"),
        (["--gin_file=g"], "unknown argument"),
        (["--max-failures=0", "--", *TRAINING], "--max-failures 0"),
        (["--chip=tpu_v9", "--", *TRAINING], "tpu_v9"),
        (["--pyxis=a", "--apptainer=b", "--", *TRAINING], "exclude each other"),
        (["--mount=/data", "--", *TRAINING], "--mount goes with"),
        (["--venv=/nowhere", "--", *TRAINING], "cannot run /nowhere/bin/python"),
    ],
)
def test_wrong_arguments_end_in_one_error(slurm, arguments, message):
    status, _, errors = slurm.call(*arguments)
    assert status == 2 and message in errors.splitlines()[-1]
    assert not slurm.machine.calls("srun")


def test_it_must_be_submitted_from_the_checkout(slurm):
    status, _, errors = slurm.call("--", *TRAINING, SLURM_SUBMIT_DIR=str(slurm.machine.folder))
    assert status == 2 and "call sbatch from there" in errors
