"""launch/local_processes.sh, with a stand-in for Python that ends as each test tells."""

import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from tests.patience import until

# Tells its environment, then does what BEHAVIOUR_<process> says.
PYTHON = """
echo "process $FLAMINGO_PROCESS_ID of $FLAMINGO_NUM_PROCESSES"
env >"$CALLS.env.$FLAMINGO_PROCESS_ID"
behaviour="BEHAVIOUR_$FLAMINGO_PROCESS_ID"
eval "${!behaviour-${BEHAVIOUR-}}"
"""
SAVES = "trap 'echo saved; exit 130' TERM; trap 'echo interrupted' INT; touch $CALLS.$FLAMINGO_PROCESS_ID; {wait}"
WAIT = "while :; do sleep 0.05; done"


@pytest.fixture
def local(machine):
    machine.stand_in("python", PYTHON)

    def call(*arguments, **environment):
        return machine.call("local_processes.sh", *arguments, PYTHON=str(machine.programs / "python"), **environment)

    machine.local = call
    return machine


def started(machine, processes: int, *arguments: str, **environment: str) -> subprocess.Popen:
    """A call in a session of its own, once all its processes wait."""
    script = subprocess.Popen(
        [machine.root / "launch" / "local_processes.sh", str(processes), *arguments],
        cwd=machine.folder,
        env=machine.environment(PYTHON=str(machine.programs / "python"), **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(list(machine.folder.glob("calls.[0-9]*"))) == processes)
    return script


def logs(machine, folder="run/logs") -> list[str]:
    return [path.read_text() for path in sorted((machine.folder / folder).iterdir())]


def test_each_process_knows_its_place(local):
    said = local.local("3", "--workdir", "run", "--devices=2", "--threads", "1", "--port", "23456")
    assert said.returncode == 0, said.stderr
    for process in range(3):
        path = local.folder / f"calls.env.{process}"
        variables = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
        assert variables["FLAMINGO_COORDINATOR"] == "127.0.0.1:23456"
        assert (variables["FLAMINGO_NUM_PROCESSES"], variables["FLAMINGO_PROCESS_ID"]) == ("3", str(process))
        assert variables["XLA_FLAGS"] == "--xla_force_host_platform_device_count=2"
        assert (variables["PJRT_NPROC"], variables["JAX_PLATFORMS"]) == ("1", "cpu")
    assert logs(local) == [f"process {process} of 3\n" for process in range(3)]
    assert said.stdout == "process 0 of 3\n"


def test_arguments_arrive_as_they_were_typed(local):
    binding = """run.RunConfig.steps = 2  # 'quoted "twice"' $HOME `date`"""
    local.local("2", "--workdir", "my 'run\"", "--", "--gin_file=a b.gin", f"--gin={binding}")
    expected = ["python", "-m", "flamingo_jax.train", f"--workdir={local.folder}/my 'run\"", "--gin_file=a b.gin"]
    assert local.calls() == [[*expected, f"--gin={binding}"]] * 2
    assert len(logs(local, "my 'run\"/logs")) == 2


def test_quickstart_is_the_default(local):
    local.local("1")
    assert local.calls()[0][3:] == ["--workdir=runs/local", "--gin_file=gin/runs/quickstart.gin"]
    assert (local.root / "runs/local/logs/process_0.log").exists()


def test_a_dry_run_prints_what_a_run_calls_and_touches_nothing(local):
    before = local.files()
    said = local.local("2", "--dry-run", "--workdir", "a b", "--port=23456", "--", "--gin=x = 'y'")
    assert said.returncode == 0 and local.files() == before
    lines = [shlex.split(line) for line in said.stdout.splitlines()]
    local.local("2", "--workdir", "a b", "--port=23456", "--", "--gin=x = 'y'")
    assert [line[line.index("-m") :] for line in lines] == [call[1:] for call in local.calls()]
    assert [line[3] for line in lines] == ["FLAMINGO_PROCESS_ID=0", "FLAMINGO_PROCESS_ID=1"]


def test_the_caller_s_xla_flags_are_kept(local):
    said = local.local("1", "--dry-run", XLA_FLAGS="--xla_dump_to=/tmp/a b")
    assert "XLA_FLAGS=--xla_dump_to=/tmp/a b --xla_force_host_platform_device_count=1" in shlex.split(said.stdout)


def test_the_port_is_free_and_another_each_time(local):
    ports = {re.search(r"127\.0\.0\.1:(\d+)", local.local("1", "--dry-run").stdout)[1] for _ in range(4)}
    assert len(ports) > 1 and all(1024 < int(port) < 32768 for port in ports)


def test_logs_of_earlier_calls_are_kept(local):
    for _ in range(2):
        local.local("1", "--workdir", "run")
    assert logs(local) == ["process 0 of 1\n" * 2]


def test_a_remote_workdir_has_its_logs_here(local):
    local.local("1", "--workdir", "gs://bucket/run", "--logs", "here")
    assert "--workdir=gs://bucket/run" in local.calls()[0]
    assert logs(local, "here") == ["process 0 of 1\n"]


def test_says_which_process_died_first(local):
    said = local.local(
        "3", "--workdir", "run", BEHAVIOUR_1="kill -9 $$", BEHAVIOUR="sleep 0.5; echo process 1 died; exit 3"
    )
    assert said.returncode == 137
    last = said.stderr.splitlines()[-1]
    assert "process 1 died first" in last and "signal 9" in last and "run/logs/process_1.log" in last
    assert "process 0 ended with status 3" in said.stderr and "process 2 ended with status 3" in said.stderr
    assert logs(local)[2] == "process 2 of 3\nprocess 1 died\n"


def test_the_cause_is_found_among_ends_that_come_together(local):
    said = local.local("3", BEHAVIOUR_2="exit 7", BEHAVIOUR="exit 3")
    assert said.returncode == 7
    assert "process 2 died first, with status 7" in said.stderr


def test_processes_that_do_not_stop_are_killed_in_time(local):
    start = time.monotonic()
    said = local.local("3", "--grace", "1", BEHAVIOUR_2="exit 7", BEHAVIOUR=f"trap '' TERM; {WAIT}")
    assert time.monotonic() - start < 20
    assert said.returncode == 7
    assert "killed after 1 s: process 0 1" in said.stderr
    assert "process 2 died first, with status 7" in said.stderr.splitlines()[-1]


# Ctrl-C reaches the whole group of the terminal; kill reaches the script alone.
@pytest.mark.parametrize("group, number", [(True, signal.SIGINT), (False, signal.SIGINT), (False, signal.SIGTERM)])
def test_a_signal_is_passed_on_once_and_all_save(local, group, number):
    script = started(local, 3, "--workdir", "run", BEHAVIOUR=SAVES.format(wait=WAIT))
    (os.killpg if group else os.kill)(script.pid, number)
    output, errors = script.communicate(timeout=30)
    assert script.returncode == 130
    assert "call the same command again" in errors
    assert logs(local) == [f"process {process} of 3\nsaved\n" for process in range(3)]
    assert output == "process 0 of 3\nsaved\n"


def test_a_second_signal_kills(local):
    deaf = "trap 'echo deaf >>$CALLS.deaf' TERM; touch $CALLS.$FLAMINGO_PROCESS_ID; " + WAIT
    script = started(local, 2, BEHAVIOUR=deaf)
    os.kill(script.pid, signal.SIGTERM)
    until((local.folder / "calls.deaf").exists)
    os.kill(script.pid, signal.SIGTERM)
    _, errors = script.communicate(timeout=30)
    assert script.returncode == 130 and "not saved" in errors


def test_saving_may_take_longer_than_the_grace(local):
    slow = "trap 'sleep 2.5; echo saved; exit 130' TERM; touch $CALLS.$FLAMINGO_PROCESS_ID; " + WAIT
    quick = SAVES.format(wait=WAIT)
    script = started(local, 2, "--grace", "1", "--workdir", "run", BEHAVIOUR_0=quick, BEHAVIOUR_1=slow)
    os.kill(script.pid, signal.SIGTERM)
    script.communicate(timeout=30)
    assert script.returncode == 130 and logs(local)[1].endswith("saved\n")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "how many processes"),
        (["0"], "N 0"),
        (["two"], "N two"),
        (["2", "3"], "unexpected argument: 3"),
        (["2", "--devices=0"], "--devices 0"),
        (["2", "--grace", "soon"], "--grace soon"),
        (["2", "--threads"], "--threads needs a number"),
        (["2", "--workdir="], "--workdir is empty"),
        (["2", "--steps=3"], "unknown argument: --steps=3"),
        (["2", "--", "--workdir=x"], "--workdir before the --"),
    ],
)
def test_wrong_arguments_end_in_one_error(local, arguments, message):
    said = local.local(*arguments)
    assert said.returncode == 2 and message in said.stderr.splitlines()[-1]
    assert not local.calls()


def test_a_missing_interpreter_is_an_error(machine):
    said = machine.call("local_processes.sh", "2")
    assert said.returncode == 2 and "make env" in said.stderr
