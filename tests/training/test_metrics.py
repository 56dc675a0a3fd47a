"""metrics.jsonl and TensorBoard's files, as others read them."""

import json
import struct
from pathlib import Path

import pytest
from etils import epath
from tensorboardX.proto.event_pb2 import Event, SessionLog

from flamingo_jax.training.metrics import MetricsWriter
from tests.training.clocks import Clock
from tests.training.stores import object_store  # noqa: F401


def lines(workdir) -> list[dict]:
    return [json.loads(line) for line in (epath.Path(workdir) / "metrics.jsonl").read_text().splitlines()]


def boards(workdir: Path) -> list[list[Event]]:
    """The events of each of TensorBoard's files, in the order of their names."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        data, events = path.read_bytes(), []
        while data:
            size = struct.unpack("Q", data[:8])[0]
            events.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
        found.append(events)
    return found


def starts(events: list[Event]) -> list[int]:
    """The steps from which on TensorBoard drops what other files hold."""
    return [event.step for event in events if event.session_log.status == SessionLog.START]


def scalars(events: list[Event]) -> list[tuple[int, str, float]]:
    return [(event.step, value.tag, value.simple_value) for event in events for value in event.summary.value]


def test_lines_tell_the_time_and_are_there_at_once(tmp_path):
    clock = Clock(1e9)
    writer = MetricsWriter(tmp_path, clock=clock)
    writer.event("start", 0, host="a", devices=4)
    clock.passes(2.5)
    writer.write(1, {"loss": 2.0, "grad_norm": float("inf"), "loss/m3w": float("nan")})
    assert lines(tmp_path) == [
        {"event": "start", "step": 0, "time": 1e9, "host": "a", "devices": 4},
        {"step": 1, "time": 1e9 + 2.5, "loss": 2.0, "grad_norm": None, "loss/m3w": None},
    ]
    writer.close()


def test_facts_of_events_are_json_whatever_they_hold(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.event("spike", 7, loss=float("nan"), records={"m3w": (3, 4)}, deep=[{"x": float("-inf")}])
    writer.close()
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    (line,) = lines(tmp_path)
    assert (line["loss"], line["records"], line["deep"]) == (None, {"m3w": [3, 4]}, [{"x": None}])


@pytest.mark.parametrize("torn", ["", '{"step": 3, "lo', '{"step": 3}\n'])
def test_half_a_line_of_a_killed_run_spoils_no_other(tmp_path, torn):
    whole = '{"step": 2}\n'
    (tmp_path / "metrics.jsonl").write_text(whole + torn)
    writer = MetricsWriter(tmp_path)
    writer.write(4, {"loss": 1.0})
    writer.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text.startswith(whole + torn)
    assert json.loads(text.splitlines()[-1])["step"] == 4
    assert len(text.splitlines()) == 2 + bool(torn)


def test_tensorboard_has_the_same_and_drops_what_a_rollback_gives_up(tmp_path):
    writer = MetricsWriter(tmp_path)
    writer.write(1, {"loss": 2.0, "gate/dense/0": 0.5})
    writer.event("rollback", 9, to=4, data_step=11)
    writer.write(5, {"loss": 1.0})
    writer.close()
    before, after = sorted(boards(tmp_path), key=lambda events: max(event.step for event in events))
    assert scalars(before) == [(1, "loss", 2.0), (1, "gate/dense/0", 0.5)]
    assert scalars(after) == [(5, "loss", 1.0)]
    assert sorted(starts(events) for events in boards(tmp_path)) == [[], [5]]


def test_a_resumed_run_drops_what_tensorboard_has_of_the_branch_that_is_given_up(tmp_path):
    MetricsWriter(tmp_path, start=30).close()
    (events,) = boards(tmp_path)
    assert starts(events) == [31]


def test_a_run_in_an_object_store(object_store):  # noqa: F811
    workdir = epath.Path("gs://bucket/run")
    for step in (1, 2):
        writer = MetricsWriter(workdir)
        writer.write(step, {"loss": 1.0 / step})
        writer.close()
    assert [(line["step"], line["loss"]) for line in lines(workdir)] == [(1, 1.0), (2, 0.5)]
    assert len(list((workdir / "tensorboard").iterdir())) == 2
