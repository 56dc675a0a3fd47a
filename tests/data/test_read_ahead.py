"""A thread between an iterator and its reader."""

import threading

import pytest

from flamingo_jax.data import read_ahead
from flamingo_jax.data.read_ahead import ReadAhead
from tests.patience import PATIENCE


def test_items_and_errors_come_in_order():
    def items():
        yield from range(3)
        raise ValueError("damaged")

    reader = ReadAhead(items())
    assert [next(reader) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="damaged"):
        next(reader)
    with pytest.raises(StopIteration):
        next(reader)


def test_waiting_can_be_given_up_and_loses_nothing():
    gate = threading.Event()

    def items():
        gate.wait()
        yield "first"
        yield "second"

    reader = ReadAhead(items())
    asked = []
    assert not reader.wait(lambda: asked.append(0) or len(asked) == 2)
    gate.set()
    assert reader.wait(lambda: False) and reader.wait(lambda: False)
    assert [next(reader), next(reader)] == ["first", "second"]
    reader.close()


def test_a_read_that_does_not_end_is_left_behind(monkeypatch, caplog):
    monkeypatch.setattr(read_ahead, "_PATIENCE", 0.3)
    gate, closed = threading.Event(), threading.Event()

    def items():
        try:
            gate.wait(PATIENCE)
            yield 0
        finally:
            closed.set()

    ReadAhead(items()).close()
    assert "has not ended" in caplog.text and not closed.is_set()
    gate.set()
    assert closed.wait(PATIENCE)
