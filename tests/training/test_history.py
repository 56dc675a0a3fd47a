"""What a run's lines say of which update stands, and what it was made of."""

import json

import pytest
from etils import epath

from flamingo_jax.training.history import data_steps, read_history


def history(tmp_path, *lines):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return read_history(epath.Path(path))


def steps(first, last, **values):
    return [{"step": step, "time": 100.0 + step, **values} for step in range(first, last + 1)]


def event(name, step, **facts):
    return {"event": name, "step": step, "time": 0.0, **facts}


def test_a_file_that_is_not_there_is_empty(tmp_path):
    assert read_history(epath.Path(tmp_path / "metrics.jsonl")).records == ()


def test_lines_and_events(tmp_path):
    found = history(tmp_path, event("start", 0, host="a"), {"step": 1, "time": 5, "loss": 2, "grad_norm": None})
    (line,), (start,) = found.lines, found.events
    assert (line.step, line.time, line.number("loss"), line.number("grad_norm"), line.number("x")) == (
        1,
        5,
        2,
        None,
        None,
    )
    assert (start.event, start.values) == ("start", {"host": "a"})


def test_what_cannot_be_read_is_counted(tmp_path):
    odd = [
        "[1]",
        "{",
        '{"loss": 1}',
        '{"step": -1}',
        '{"step": 1.5}',
        '{"step": true}',
        '{"step": 1, "event": 3}',
        "",
        "ÿ",
    ]
    found = history(tmp_path, *odd, {"step": 2})
    assert [line.step for line in found.lines] == [2] and found.lines[0].time is None
    assert found.malformed == (1, 2, 3, 4, 5, 6, 7, 9)


@pytest.mark.parametrize("back", [event("resume", 3), event("rollback", 5, to=3, data_step=5)])
def test_a_branch_that_was_given_up_is_left_out(tmp_path, back):
    found = history(tmp_path, *steps(1, 5, loss=1.0), back, *steps(4, 4, loss=9.0))
    assert [(line.step, line.number("loss")) for line in found.lines] == [(1, 1), (2, 1), (3, 1), (4, 9)]


BACK = event("rollback", 9, to=4, data_step=9)  # update 5 takes data step 9


@pytest.mark.parametrize(
    "lines, update, expected",
    [
        ([], 7, [6]),
        ([*steps(1, 9), BACK], 4, [3]),
        ([*steps(1, 9), BACK], 5, [9, 4]),
        ([*steps(1, 9), BACK], 9, [13, 8]),
        ([*steps(1, 9), BACK], 10, [14]),  # was not made before the rollback
        ([*steps(1, 9), BACK, *steps(5, 12)], 12, [16]),
        # Twice, to the same update and to one before.
        ([*steps(1, 9), BACK, *steps(5, 6), event("rollback", 6, to=4, data_step=11)], 5, [11, 9, 4]),
        ([*steps(1, 9), BACK, *steps(5, 6), event("rollback", 6, to=2, data_step=11)], 3, [11, 2]),
        ([*steps(1, 9), BACK, *steps(5, 6), event("rollback", 6, to=2, data_step=11)], 5, [13, 9, 4]),
        # A killed run goes on with the position that its checkpoint holds.
        ([*steps(1, 9), BACK, *steps(5, 9), event("resume", 8, data_step=13)], 9, [13, 8]),
        ([*steps(1, 9), BACK, *steps(5, 9), event("resume", 8, data_step=13)], 8, [12, 7]),
        ([*steps(1, 9), BACK, event("resume", 4, data_step=4)], 5, [4]),
        ([*steps(1, 9), BACK, event("resume", 4)], 5, [4]),
        ([*steps(1, 9), event("resume", 0)], 1, [0]),
    ],
)
def test_data_steps_of_an_update(tmp_path, lines, update, expected):
    assert data_steps(update, history(tmp_path, *lines).records) == expected
