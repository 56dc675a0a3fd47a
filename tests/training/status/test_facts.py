"""What a workdir tells of its run, whatever state it is in."""

import json

import pytest
from etils import epath

from flamingo_jax.training.status.facts import facts
from flamingo_jax.training.status.text import WIDTH, render
from tests.training.status import runs
from tests.training.status.runs import BEGUN, SPIKE, START, event, line
from tests.training.stores import object_store  # noqa: F401


@pytest.fixture
def workdir(tmp_path) -> epath.Path:
    return epath.Path(tmp_path) / "run"


def test_a_run_that_goes_on(workdir):
    runs.write(workdir, [START, *(line(step) for step in range(1, 101)), SPIKE])
    (workdir / "lease.json").write_text(json.dumps({"pid": 7, "host": "host-3", "timeout": 1e12}))
    for step in (0, 50, 90):
        runs.save(workdir, step, 50 + 10 * step)
    (workdir / "damaged" / "40").mkdir(parents=True)
    now = BEGUN + 1060
    found = facts(workdir, now)
    assert (found["state"], found["step"], found["steps"], found["logged_seconds_ago"]) == ("running", 100, 400, 10)
    assert found["seconds_left"] == pytest.approx(300 * 10)
    loss = found["loss"]["loss/m3w"]
    assert loss["latest"] == pytest.approx(2.9) and loss["window"] == 50
    assert loss["mean"] == pytest.approx(3 - 75.5 / 1000) and loss["change"] == pytest.approx(-0.05)
    assert found["seen"]["pairs"] == {"tokens": 5e7, "images": 10_000}
    assert (found["mfu"], found["data_wait_share"]) == (0.42, pytest.approx(0.1))
    assert found["goodput"]["share"] == pytest.approx(0.9) and list(found["goodput"]["lost"]) == ["setup", "save"]
    assert [each["step"] for each in found["checkpoints"]] == [90, 50, 0]
    assert found["checkpoints"][0]["seconds_ago"] == pytest.approx(110)
    assert (found["damaged"], found["devices"]["devices"]) == (["40"], 16)
    assert found["gates"]["attention"] == pytest.approx({"least": -0.1, "most": 0.1})
    assert [each["event"] for each in found["events"]] == ["spike"]
    text = render(found | {"workdir": "run"})
    for told in (
        "running (process 7 on host-3)", "##########....", "25%", "step 100 of 400, logged 10 s ago, about 50 min left",
        "450 million tokens", "9.00 s a step · 500,000 tokens/s · MFU 42%", "waits for data 10% of a step", "32.0 GiB",
        "90% of 17 min 30 s; lost: setup 6.0%, save 4.0%", "90 (1 min 50 s ago), 50 (8 min 30 s ago), 0",
        "damaged and set aside: 40", "attention −0.100 to 0.100 · dense 0.500 to 0.500", "16 x TPU v4, processes: 4",
        "spike: a loss far above",
    ):  # fmt: skip
        assert told in text, told
    assert max(map(len, text.splitlines())) <= WIDTH


def test_after_a_rollback_the_pace_and_the_loss_are_those_of_the_new_branch(workdir):
    back = event("rollback", 100, 1060, to=50, data_step=100)
    again = [line(step, loss=1.0) | {"time": BEGUN + 1100 + 20 * (step - 50)} for step in range(51, 61)]
    runs.write(workdir, [START, *(line(step) for step in range(1, 101)), back, *again])
    (workdir / "lease.json").write_text(json.dumps({"timeout": 1e12}))
    found = facts(workdir, BEGUN + 1300)
    assert (found["step"], found["loss"]["loss"]["latest"]) == (60, 1.0)
    assert found["seconds_left"] == pytest.approx(340 * 20)
    assert found["events"][-1]["message"] == "back to step 50, on with data step 100"
    assert "rollback 1x" in render(found)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [START],
        ["{", "[]", '{"step": 1, "loss": NaN}'],
        [START, {"step": 1}],
        [START, {"step": 1, "time": "now", "loss": "x", "gate/": 1, "gate/attention/0": 2, "tokens_seen/": 1}],
        [{"event": "rollback", "step": 3}, {"event": "start", "step": 0, "devices": "many"}],
        [line(1), event("spike", 1, 5, message=["odd"]), event("\x1b[31mred", 1, 5)],
        [line(1) | {f"loss/{'x' * 200}": 1.0, "loss/\x1b[31m": 2.0}],
    ],
)
def test_whatever_is_broken_the_rest_is_told(workdir, lines):
    runs.write(workdir, lines)
    found = facts(workdir, BEGUN + 1000)
    json.dumps(found)
    text = render(found)
    assert text.startswith(str(workdir)) and "\x1b" not in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize("content", ["", "[]", "{", '{"steps": "many"}'])
def test_a_damaged_config(workdir, content):
    runs.write(workdir, [START, line(1)])
    (workdir / "config.json").write_text(content)
    assert "step 1, logged" in render(facts(workdir, BEGUN + 100))


def test_a_torn_line_is_told_of(workdir):
    runs.write(workdir, [START, line(1), '{"step": 2, "lo'])
    assert "metrics.jsonl: 1 lines could not be read" in render(facts(workdir))


def test_what_is_no_workdir(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        facts(epath.Path(tmp_path) / "absent")
    with pytest.raises(FileNotFoundError, match=r"it has none of config\.json"):
        facts(epath.Path(tmp_path))


def test_a_run_in_an_object_store_which_is_only_read(object_store):  # noqa: F811
    workdir = epath.Path("gs://bucket/run")
    runs.write(workdir, [START, *(line(step) for step in range(1, 5)), event("end", 4, 200)], steps=4)
    runs.save(workdir, 2, 70)
    runs.save(workdir, 4, 90, committed=False)  # is being written
    object_store.writes.clear()
    found = facts(workdir, BEGUN + 300)
    assert (found["state"], found["step"]) == ("finished", 4)
    assert [each["step"] for each in found["checkpoints"]] == [2]
    assert object_store.writes == []
