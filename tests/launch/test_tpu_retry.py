"""launch/tpu_vm.sh run --retry: pre-emptions and failures, against a stand-in for gcloud."""

import pytest

from tests.launch.cloud import PLACE, PLACED, QUICK, RUNS, TRAINING, TYPE


def test_retry_creates_anew_after_a_preemption_and_runs_the_same(cloud):
    cloud.set(["ABSENT"], [RUNS, RUNS, "exit 0"])
    script = cloud.start("run", "t", *PLACE, *TYPE, "--spot", "--retry=3", *QUICK, "--", *TRAINING)
    cloud.wait(2)
    (cloud.machine.folder / "preempt").touch()
    said, _ = script.communicate(timeout=60)
    assert script.returncode == 0, said
    assert cloud.trainings() == [list(TRAINING)] * 4
    changes = [verb for verb in cloud.verbs() if verb in ("create", "delete")]
    assert changes == ["create", "delete", "create"]
    assert cloud.gcloud("create")[0] == cloud.gcloud("create")[1]
    assert cloud.gcloud("delete") == [["t", *PLACED, "--force", "--quiet"]]
    assert "SUSPENDED: it is deleted and created again" in said and said.endswith("the training on t is done\n")


def test_retry_starts_a_failed_training_again_on_the_same_resource(cloud):
    cloud.set(behaviours=["exit 1", "exit 3", "exit 0"])
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--retry=1", "--delete-when-done", *QUICK, "--", *TRAINING)
    assert said.returncode == 0, said.stdout + said.stderr
    assert len(cloud.trainings()) == 4
    assert cloud.gcloud("delete") == [["t", "--zone=z", "--force", "--quiet"]] and not cloud.gcloud("create")


def test_retry_gives_up(cloud):
    cloud.set(behaviours=["exit 1"])
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--retry=2", *QUICK, "--delete-when-done", "--", *TRAINING)
    assert said.returncode == 1 and "given up on t after 2 retries" in said.stderr
    assert len(cloud.trainings()) == 6 and not cloud.gcloud("delete")


@pytest.mark.parametrize("status, message", [(2, "refused its arguments"), (130, "was stopped")])
def test_retry_does_not_insist(cloud, status, message):
    cloud.set(behaviours=[f"exit {status}"])
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--retry=5", *QUICK, "--", *TRAINING)
    assert said.returncode == status and message in said.stderr
    assert len(cloud.trainings()) == 2


def test_retry_watches_a_training_that_runs_already(cloud):
    cloud.set(behaviours=[RUNS])
    cloud.call("run", "t", "--zone=z", *TYPE, "--", *TRAINING)
    cloud.wait(2)
    script = cloud.start("run", "t", "--zone=z", *TYPE, "--retry=3", *QUICK, "--", *TRAINING)
    assert "only watched" in script.stdout.readline() + script.stdout.readline()
    cloud.call("stop", "t", "--zone=z")
    script.communicate(timeout=60)
    assert script.returncode == 130 and len(cloud.trainings()) == 2


def test_what_cannot_be_told_is_never_taken_for_gone(cloud):
    (cloud.broken / "describe").touch()
    said = cloud.call("run", "t", "--zone=z", *TYPE, "--retry=1", *QUICK, "--", *TRAINING)
    assert said.returncode == 1 and "cannot tell the state of t" in said.stderr
    assert not {"create", "delete"} & set(cloud.verbs())
