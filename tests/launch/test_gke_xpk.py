"""launch/gke_xpk.sh, with stand-ins for xpk and kubectl."""

import signal
import subprocess

import pytest

from tests.patience import until

TRAINING = ("--gin_file=a 'b\".gin", "--workdir=gs://bucket/a run", "--gin=x = '$HOME `date`'")
CREATE = ("create", "job", "--cluster", "a cluster", "--tpu-type", "v5e-256", "--image", "registry/image:1")


@pytest.fixture
def cluster(machine):
    for name in ("xpk", "kubectl"):
        machine.stand_in(name)
    return machine


def test_create_says_everything_to_xpk(cluster):
    more = ("--num-slices=2", "--max-restarts=3", "--priority=high", "--zone=z", "--project=it's mine", "--grace=90")
    said = cluster.call("gke_xpk.sh", *CREATE, *more, "--xpk-argument=--env=A=b c", "--", *TRAINING)
    assert said.returncode == 0, said.stderr
    (call,) = cluster.calls()
    assert call[1:3] == ["workload", "create"]
    arguments = dict(argument.removeprefix("--").split("=", 1) for argument in call[3:] if "=" in argument)
    assert "--restart-on-user-code-failure" in call
    arguments.pop("command")
    assert arguments == {
        "workload": "job",
        "cluster": "a cluster",
        "tpu-type": "v5litepod-256",
        "num-slices": "2",
        "docker-image": "registry/image:1",
        "max-restarts": "3",
        "termination-grace-period-seconds": "90",
        "priority": "high",
        "zone": "z",
        "project": "it's mine",
        "env": "A=b c",
    }


def command(cluster) -> str:
    cluster.call("gke_xpk.sh", *CREATE, "--", *TRAINING)
    return next(argument for argument in cluster.calls("xpk")[0] if argument.startswith("--command="))[10:]


def test_the_command_trains_with_the_chip_s_flags(cluster):
    """In the image's checkout, in a shell, as xpk runs it: every argument arrives as it was typed."""
    line = command(cluster)
    cluster.stand_in("python", 'echo "flags: $LIBTPU_INIT_ARGS"')
    said = subprocess.run(
        ["bash", "-c", line], cwd=cluster.root, env=cluster.environment(), capture_output=True, text=True, timeout=30
    )
    assert cluster.calls("python") == [["python", "-m", "flamingo_jax.train", *TRAINING]]
    assert "xla_tpu_enable_async_collective_fusion_fuse_all_reduce=true" in said.stdout


def test_xpk_s_signal_reaches_the_training(cluster):
    """xpk puts the command into the background of a shell and signals that."""
    line = command(cluster)
    cluster.stand_in("python", "trap 'echo saved; exit 130' TERM; touch $CALLS.runs; while :; do sleep 0.05; done")
    script = (
        f"trap 'kill -TERM $!' TERM; ({line}) & PID=$!; while kill -0 $PID 2>/dev/null; do sleep 0.1; done; wait $PID"
    )
    pod = subprocess.Popen(["bash", "-c", script], cwd=cluster.root, env=cluster.environment(), stdout=subprocess.PIPE)
    until((cluster.folder / "calls.runs").exists)
    pod.send_signal(signal.SIGTERM)
    said, _ = pod.communicate(timeout=30)
    assert (said, pod.returncode) == (b"saved\n", 130)


def test_logs_are_those_of_one_worker(cluster):
    cluster.call("gke_xpk.sh", "logs", "job", "--slice=1", "--worker", "3", "--lines=5", "--follow")
    labels = "xpk.google.com/workload=job,jobset.sigs.k8s.io/job-index=1,batch.kubernetes.io/job-completion-index=3"
    assert cluster.calls() == [["kubectl", "logs", f"--selector={labels}", "--tail=5", "--follow"]]


def test_list(cluster):
    cluster.call("gke_xpk.sh", "list", "--cluster=c", "--zone=z")
    assert cluster.calls() == [["xpk", "workload", "list", "--cluster=c", "--zone=z"]]


def test_delete_asks_and_needs_a_name(cluster):
    """Without a name xpk would delete all workloads of the cluster."""
    for arguments in (["delete"], ["delete", ""], ["delete", "--workload="], ["delete", "*"]):
        assert cluster.call("gke_xpk.sh", *arguments, "--cluster=c", "--yes").returncode == 2
    assert "say --yes" in cluster.call("gke_xpk.sh", "delete", "job", "--cluster=c").stderr
    assert not cluster.calls()
    cluster.call("gke_xpk.sh", "delete", "job", "--cluster=c", "--yes")
    assert cluster.calls() == [["xpk", "workload", "delete", "--workload=job", "--cluster=c", "--force"]]


def test_a_failure_of_xpk_is_the_status(cluster):
    cluster.stand_in("xpk", "echo no quota >&2; exit 9")
    said = cluster.call("gke_xpk.sh", *CREATE, "--", *TRAINING)
    assert said.returncode == 9 and "no quota" in said.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "say what to do"),
        (["create", "--cluster=c"], "create needs the name"),
        (["create", "a job", "--cluster=c"], "'a job'"),
        (["create", "j" * 29, "--cluster=c"], "longer than 28"),
        (["create", "job"], "needs --cluster"),
        (["create", "job", "--cluster=c", "--image=i", "--", *TRAINING], "needs --tpu-type"),
        (["create", "job", "--cluster=c", "--tpu-type=v5p-8", "--", *TRAINING], "needs --image"),
        ([*CREATE, "--", "--workdir=gs://b/r"], "--gin_file"),
        ([*CREATE, "--", "--gin_file=a", "--workdir=/tmp/run"], "--workdir on gs://"),
        ([*CREATE, "--priority=urgent", "--", *TRAINING], "--priority urgent"),
        (["list", "--cluster=c", "job"], "unexpected argument: 'job'"),
        (["list", "--cluster=c", "--yes"], "list takes no --yes"),
        (["logs", "job", "--cluster=c"], "logs takes no --cluster"),
        (["list", "--cluster=c", "--all"], "unknown argument: --all"),
    ],
)
def test_wrong_arguments_end_in_one_error(cluster, arguments, message):
    said = cluster.call("gke_xpk.sh", *arguments)
    assert said.returncode == 2 and message in said.stderr.splitlines()[-1], said.stderr
    assert not cluster.calls()


def test_a_missing_program_is_an_error(machine):
    path = machine.bare_path()
    assert "there is no xpk" in machine.call("gke_xpk.sh", "list", "--cluster=c", PATH=path).stderr
    assert "there is no kubectl" in machine.call("gke_xpk.sh", "logs", "job", PATH=path).stderr


def test_a_dry_run_touches_nothing(cluster):
    before = cluster.files()
    assert cluster.call("gke_xpk.sh", "--dry-run", *CREATE, "--", *TRAINING).stdout.startswith("xpk workload create ")
    assert cluster.call("gke_xpk.sh", "--dry-run", "delete", "job", "--cluster=c").stdout.startswith(
        "xpk workload delete"
    )
    assert cluster.files() == before
