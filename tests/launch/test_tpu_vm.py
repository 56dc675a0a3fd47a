"""launch/tpu_vm.sh and launch/tpu_worker.sh, against a stand-in for gcloud."""

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.launch.cloud import PLACE, PLACED, RUNS, SOFTWARE, TRAINING, TYPE


def test_create_asks_for_the_resource_and_waits(cloud):
    after = "WAITING_FOR_RESOURCES PROVISIONING ACTIVE"
    said = cloud.call("create", "my-tpu", *PLACE, *TYPE, "--spot", AFTER_CREATE=after)
    assert said.returncode == 0, said.stderr
    assert cloud.gcloud("create") == [
        ["my-tpu", *SOFTWARE, *PLACED, "--node-id=my-tpu", "--spot", "--quiet"],
    ]
    assert [line.split()[-1] for line in said.stdout.splitlines()] == after.split()


@pytest.mark.parametrize(
    "typed, told, runtime",
    [
        ("v4-8", "v4-8", "tpu-ubuntu2204-base"),
        ("v5e-16", "v5litepod-16", "v2-alpha-tpuv5-lite"),
        ("v5litepod-16", "v5litepod-16", "v2-alpha-tpuv5-lite"),
        ("v6e-64", "v6e-64", "v2-alpha-tpuv6e"),
    ],
)
def test_each_chip_has_its_software(cloud, typed, told, runtime):
    cloud.call("create", "t", "--zone=z", f"--accelerator-type={typed}")
    assert cloud.gcloud("create")[0][1:3] == [f"--accelerator-type={told}", f"--runtime-version={runtime}"]


def test_create_takes_slices_a_reservation_and_more(cloud):
    more = ["--slices=4", "--reserved", "--runtime-version=mine", "--gcloud-argument=--network=a net"]
    cloud.call("create", "t", "--zone=z", *TYPE, *more)
    command = ["t", "--accelerator-type=v5p-16", "--runtime-version=mine", "--zone=z", "--node-count=4"]
    assert cloud.gcloud("create") == [[*command, "--node-prefix=t", "--reserved", "--network=a net", "--quiet"]]


@pytest.mark.parametrize(
    "typed, topology, track, told",
    [
        ("v4-3072", "8x12x16", "compute", "v4"),
        ("v5e-256", "16x16", "alpha", "v5litepod"),
        ("v5p-8", "2x2x1", "alpha", "v5p"),
    ],
)
def test_a_shape_takes_the_place_of_the_type(cloud, typed, topology, track, told):
    """The GA command has shapes for v4 alone; of the others its alpha track has them."""
    said = cloud.call("create", "t", "--zone=z", f"--accelerator-type={typed}", f"--topology={topology}")
    assert said.returncode == 0, said.stderr
    (call,) = [call for call in cloud.machine.calls("gcloud") if "create" in call]
    assert call[1] == track and call[call.index("t") + 1 :][:2] == [f"--type={told}", f"--topology={topology}"]
    assert not any("--accelerator-type" in argument for argument in call)


@pytest.mark.parametrize("end", ["FAILED", "SUSPENDED"])
def test_create_says_when_there_will_be_no_resource(cloud, end):
    said = cloud.call("create", "t", "--zone=z", *TYPE, AFTER_CREATE=f"WAITING_FOR_RESOURCES {end}")
    assert said.returncode == 1 and f"t is {end}" in said.stderr
    assert cloud.verbs() == ["create"]


def test_create_waits_no_longer_than_asked(cloud):
    said = cloud.call("create", "t", "--zone=z", *TYPE, "--max-wait=1", AFTER_CREATE="WAITING_FOR_RESOURCES")
    assert said.returncode == 1 and "not ACTIVE after 1 s" in said.stderr


def test_a_failing_create_is_the_end(cloud):
    (cloud.broken / "create").touch()
    said = cloud.call("create", "t", "--zone=z", *TYPE)
    assert said.returncode == 1 and "the network is down" in said.stderr
    assert not cloud.gcloud("describe")


def test_run_trains_on_all_workers_with_the_chip_s_flags(cloud):
    said = cloud.call("run", "my-tpu", *PLACE, *TYPE, "--", *TRAINING)
    assert said.returncode == 0, said.stderr
    cloud.wait_for_end()
    assert cloud.trainings() == [list(TRAINING)] * 2
    assert all(call[1:3] == PLACED for call in cloud.gcloud("ssh"))
    install = next(call for call in cloud.machine.calls("python") if "install" in call)
    assert install[-1].endswith("flamingo-jax/checkout[tpu,gcs]") and "/constraints/py312.txt" in install[-3]
    for home in cloud.workers.iterdir():
        log = (home / "flamingo-jax" / "train.log").read_text()
        assert "xla_tpu_enable_data_parallel_all_reduce_opt=true" in log
        assert f"training in {home}/flamingo-jax/checkout" in log
    state = cloud.call("status", "my-tpu", *PLACE)
    assert state.stdout.count("flamingo-job exit 0") == 2 and "ACTIVE" in state.stdout


def test_logs_and_stop(cloud):
    cloud.set(behaviours=[RUNS])
    cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    cloud.wait(2)
    assert cloud.call("status", "t", "--zone=z").stdout.count("flamingo-job running") == 2
    again = cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    assert again.returncode != 0 and "a job is running here already" in again.stderr
    said = cloud.call("stop", "t", "--zone=z", "--grace=30")
    assert said.returncode == 0 and said.stdout.count("flamingo-job exit 130") == 2
    logs = cloud.call("logs", "t", "--zone=z", "--lines=3", "--worker=1")
    assert "saved" in logs.stdout
    assert cloud.gcloud("ssh")[-1][2:4] == ["--node=0", "--worker=1"]
    assert len(cloud.trainings()) == 2


def test_a_deaf_training_is_killed_in_the_end(cloud):
    cloud.set(behaviours=["trap '' TERM; begun; while :; do /bin/sleep 0.05; done"])
    cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    cloud.wait(2)
    said = cloud.call("stop", "t", "--zone=z", "--grace=1")
    assert said.returncode == 0 and "killed, not saved" in said.stderr
    assert cloud.call("status", "t", "--zone=z").stdout.count("flamingo-job lost") == 2


def test_the_environment_is_kept_while_nothing_changes(cloud):
    for _ in range(2):
        cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
        cloud.call("stop", "t", "--zone=z")
    installs = [call for call in cloud.machine.calls("python") if "install" in call]
    assert len(installs) == 2  # one a worker
    (cloud.machine.root / "setup.py").write_text("changed")
    cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    assert len([call for call in cloud.machine.calls("python") if "install" in call]) == 4


def test_a_failure_in_the_middle_starts_nothing(cloud):
    (cloud.broken / "scp").touch()
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    assert said.returncode != 0 and "the network is down" in said.stderr
    assert cloud.verbs() == ["ssh", "scp"]


def test_a_tarball_is_fetched_by_the_workers(cloud):
    cloud.machine.stand_in("tar")
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--dry-run", "--tarball", "gs://b/a file.tar.gz", "--", *TRAINING)
    assert "scp" not in said.stdout and "storage" in said.stdout
    assert r"gs://b/a\\\ file.tar.gz" in said.stdout


def test_delete_asks_and_needs_a_name(cloud):
    assert "say --yes" in cloud.call("delete", "t", "--zone=z").stderr
    assert "needs the name" in cloud.call("delete", "--zone=z", "--yes").stderr
    assert cloud.call("delete", "", "--zone=z", "--yes").returncode == 2
    assert not cloud.machine.calls("gcloud")
    assert cloud.call("delete", "t", "--zone=z", "--yes").returncode == 0
    assert cloud.gcloud("delete") == [["t", "--zone=z", "--force", "--quiet"]]


RUN = ("run", "t", "--zone=z", *TYPE)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "say what to do"),
        (["destroy", "t"], "not 'destroy'"),
        (["create"], "create needs the name"),
        (["stop", "my tpu", "--zone=z"], "the name 'my tpu'"),
        (["delete", "t*", "--zone=z", "--yes"], "the name 't*'"),
        (["delete", "a", "b", "--zone=z", "--yes"], "unexpected argument: 'b'"),
        (["create", "t", *TYPE], "needs --zone"),
        (["create", "t", "--zone=z"], "needs --accelerator-type"),
        (["create", "t", "--zone=z", "--accelerator-type=v9-8"], "'v9-8'"),
        (["create", "t", "--zone=z", "--accelerator-type=v5p"], "'v5p'"),
        (["create", "t", "--zone=z", *TYPE, "--spot", "--reserved"], "exclude each other"),
        (["create", "t", "--zone=z", *TYPE, "--topology=2x2x4"], "8 chips, and 2x2x4 has 16"),
        (["create", "t", "--zone=z", *TYPE, "--topology=cube"], "'cube'"),
        (["create", "t", "--zone=z", *TYPE, "--slices=0"], "--slices 0"),
        (["stop", "t", "--zone=z", "--", "x"], "takes no arguments after --"),
        ([*RUN, "--", "--workdir=gs://b/r"], "give --gin_file"),
        ([*RUN, "--", "--gin_file=a"], "give --workdir"),
        ([*RUN, "--retry=2", "--", "--gin_file=a", "--workdir=/disk"], "--retry needs a gs:// workdir"),
        ([*RUN, "--retry=2", "--", "--gin_file=a", "--workdir=runs/a"], "--retry needs a gs:// workdir"),
        ([*RUN, "--", "--gin_file=a", "--workdir=runs/a"], "--workdir runs/a: "),
        ([*RUN, "--", "--gin_file=a", "--workdir", "a b"], "--workdir a b: "),
        ([*RUN, "--", "--gin_file=a", "--workdir=~/run"], "--workdir ~/run: "),
        ([*RUN, "--", "--gin_file=a", "--workdir=gs:/b/r"], "--workdir gs:/b/r: "),
        ([*RUN, "--", "--gin_file=a", "--workdir=/disk", "--workdir=runs/a"], "--workdir runs/a: "),
        ([*RUN, "--delete-when-done", "--", *TRAINING], "takes no --delete-when-done"),
        ([*RUN, "--spot", "--", *TRAINING], "run without --retry takes no --spot"),
        (["logs", "t", "--zone=z", "--yes"], "logs takes no --yes"),
        (["delete", "t", "--zone=z", "--yes", "--follow"], "delete takes no --follow"),
        ([*RUN, "--tarball=here.tar.gz", "--", *TRAINING], "must be a gs:// path"),
        (["status", "t", "--zone=z", "--frobnicate"], "unknown argument: --frobnicate"),
    ],
)
def test_wrong_arguments_end_in_one_error(cloud, arguments, message):
    said = cloud.call(*arguments)
    assert said.returncode == 2 and message in said.stderr.splitlines()[-1], said.stderr
    assert said.stderr.count("error: ") == 1
    assert not cloud.machine.calls("gcloud")


@pytest.mark.parametrize("workdir", [["--workdir=/mnt/a disk"], ["--workdir", "gs://b/r"], ["--workdir=s3://b/r"]])
def test_a_workdir_outside_the_checkout_is_taken(cloud, workdir):
    said = cloud.call(*RUN, "--dry-run", "--", "--gin_file=a", *workdir)
    assert said.returncode == 0, said.stderr


def test_a_missing_gcloud_is_an_error(machine):
    said = machine.call("tpu_vm.sh", "status", "t", "--zone=z", PATH=machine.bare_path())
    assert said.returncode == 2 and "there is no gcloud" in said.stderr


def test_a_dry_run_prints_what_a_run_calls_and_touches_nothing(cloud):
    before = cloud.machine.files()
    printed = cloud.call("run", "t", *PLACE, *TYPE, "--dry-run", "--", *TRAINING)
    assert printed.returncode == 0 and cloud.machine.files() == before
    program = "import json, shlex, sys; print(json.dumps([shlex.split(line) for line in sys.stdin]))"
    lines = json.loads(subprocess.check_output(["python3", "-c", program], input=printed.stdout, text=True))
    cloud.call("run", "t", *PLACE, *TYPE, "--", *TRAINING)
    assert [line for line in lines if line[0] == "gcloud"] == cloud.machine.calls("gcloud")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_knows_every_argument(cloud, tmp_path):
    """Its parser names what it does not know, and nothing else: one flag of ours that no command has."""
    common = ("--dry-run", "--zone=us-east5-a", "--project=mine")
    printed = [
        cloud.call("create", "t", *common, *TYPE, "--spot", "--gcloud-argument=--network=n"),
        cloud.call("create", "t", *common, *TYPE, "--slices=2", "--reserved"),
        cloud.call("create", "t", *common, *TYPE, "--topology=2x2x2"),
        cloud.call("create", "t", *common, "--accelerator-type=v4-16", "--topology=2x2x2"),
        cloud.call("run", "t", *common, *TYPE, "--", *TRAINING),
        cloud.call("status", "t", *common),
        cloud.call("delete", "t", *common),
    ]
    lines = {line.split("--command=")[0] for said in printed for line in said.stdout.splitlines() if "gcloud" in line}
    calls = {line for line in lines if line.startswith("gcloud ")}
    assert len(calls) >= 6
    for call in calls:
        said = subprocess.run(
            ["bash", "-c", f"{call} --flag-of-no-command"],
            env=os.environ | {"CLOUDSDK_CONFIG": str(tmp_path), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        unknown = r"unrecognized arguments: --flag-of-no-command( \(did you mean '[-a-z]+'\?\))? \n"
        assert re.search(unknown, said.stderr), said.stderr
