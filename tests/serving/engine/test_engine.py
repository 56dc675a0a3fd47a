"""The engine: batches, limits, failures, cancelling and closing, over a session without a model."""

import asyncio
import threading

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.serving.engine import engine as engine_module
from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.events import Delta, Done, Failed
from flamingo_jax.serving.engine.request import Busy, Closing, Refused, Request
from flamingo_jax.serving.engine.warming import Warming
from tests.patience import PATIENCE, until, within
from tests.serving.fake_session import BROKEN, FakeSession


@pytest.fixture
def session():
    return FakeSession()


@pytest.fixture
def make(session):
    """Makes engines over the session, and closes them in the end."""
    made = []

    def engine(**limits):
        made.append(Engine(session, EngineConfig(**limits)))
        return made[-1]

    yield engine
    session.gate.set()
    for each in made:
        assert each.close()


def asked(text: str, **sampling) -> Request:
    return Request(text, (), Sampling(**sampling))


def told(ticket) -> tuple[str, Done | Failed]:
    """The answer and the last event."""
    *deltas, last = ticket
    assert all(isinstance(delta, Delta) for delta in deltas)
    return "".join(delta.text for delta in deltas), last


def test_an_answer_comes_in_pieces_with_its_figures(make):
    events = list(make().submit(asked("a red star")))
    assert events == [Delta("a"), Delta(" red"), Delta(" star"), Done("stop", 3, 4, -2.0)]


def test_a_length_is_kept(make):
    assert told(make().submit(asked("one two three four", max_new_tokens=2))) == ("one two", Done("length", 4, 2, -1.0))


def test_what_waits_is_answered_together_in_order(make, session):
    engine = make(rows=4)
    session.gate.clear()
    first = engine.submit(asked("first"))
    until(lambda: engine.running == 1)
    tickets = [engine.submit(asked(f"number {place}", seed=place, temperature=0.1 * place)) for place in range(6)]
    assert engine.depth == 6
    session.gate.set()
    assert [told(ticket)[0] for ticket in (first, *tickets)] == ["first", *(f"number {place}" for place in range(6))]
    assert session.batches == [1, 4, 2]
    assert engine.depth == engine.running == 0
    assert engine.stats.rows.series.total == 7


def test_beam_searches_of_one_kind_share_a_batch(make, session):
    engine = make()
    session.gate.clear()
    engine.submit(asked("first"))
    until(lambda: engine.running == 1)
    requests = [Request(f"beam {beams}", (), Sampling(max_new_tokens=9), beams=beams) for beams in (2, 3, 2, 1)]
    tickets = [engine.submit(request) for request in requests]
    session.gate.set()
    assert [told(ticket)[0] for ticket in tickets] == ["beam 2", "beam 3", "beam 2", "beam 1"]
    assert session.searches == [2, 1] and session.batches == [1, 1]


def test_a_beam_search_comes_as_a_whole_and_is_cut_at_stop_texts(make):
    request = Request("a red star User: more", (), Sampling(stops=("User:",)), beams=2)
    assert list(make().submit(request)) == [Delta("a red star"), Done("stop", 5, 6, -2.5)]


def test_a_full_queue_refuses_and_says_when_to_come_back(make, session):
    engine = make(rows=1, queue=2)
    session.gate.clear()
    running = engine.submit(asked("one"))
    until(lambda: engine.running == 1)
    waiting = [engine.submit(asked("two")) for _ in range(2)]
    with pytest.raises(Busy, match="2 requests wait already") as refused:
        engine.submit(asked("three"))
    assert refused.value.retry_after > 0
    waiting[0].cancel()
    again = engine.submit(asked("three"))
    session.gate.set()
    assert [told(ticket)[0] for ticket in (running, waiting[1], again)] == ["one", "two", "three"]
    assert told(waiting[0])[1].kind == "cancelled"
    assert engine.stats.counts("requests") == {"refused": 1, "cancelled": 1, "stop": 3}


def test_who_is_cancelled_while_answered_frees_the_device(make, session):
    session.seconds = 0.1
    engine = make(rows=2)
    long = engine.submit(asked("word " * 1000, max_new_tokens=1000))
    until(lambda: engine.running == 1)
    long.cancel()
    with within(30):  # the long answer takes a hundred
        assert told(engine.submit(asked("next")))[0] == "next"
    assert session.dropped == [0]


def test_requests_that_take_too_long_fail(make, session):
    engine = make(rows=1, wait_s=0.5, answer_s=0.6)
    session.gate.clear()
    running = engine.submit(asked("one"))
    until(lambda: engine.running == 1)
    waiting = engine.submit(asked("two"))
    assert told(waiting)[1] == Failed("waited 0.5 seconds for its turn: try again later", "timeout")
    assert told(running)[1] == Failed("the answer took more than 0.6 seconds", "timeout")
    assert engine.depth == 0
    session.gate.set()
    assert told(engine.submit(asked("three")))[0] == "three"


def test_a_prompt_that_cannot_be_asked_is_refused_at_once(make, session):
    engine = make()
    with pytest.raises(PromptError, match="1 <image> tags and 0 images"):
        engine.submit(asked("<image>"))
    with pytest.raises(PromptError, match="room for 2000"):
        engine.submit(asked("word", max_new_tokens=2000))
    with pytest.raises(Refused, match="no rule of abstention"):
        engine.submit(Request("word", abstain=True))
    with pytest.raises(Refused, match="set temperature to 0"):
        Request("word", sampling=Sampling(temperature=0.5), beams=2)


def test_a_broken_picture_fails_alone(make, session):
    engine = make()
    session.gate.clear()
    engine.submit(asked("first"))
    until(lambda: engine.running == 1)
    media = [b"fine", BROKEN, b"fine"]
    tickets = [engine.submit(Request(f"<image> {place}", (Image(each),))) for place, each in enumerate(media)]
    session.gate.set()
    (zero, done), (one, failed), (two, _) = map(told, tickets)
    assert (zero, one, two) == ("<image> 0", "", "<image> 2")
    assert done.finish == "stop" and failed == Failed("a medium that is broken", "bad_request")


def test_the_engine_goes_on_after_a_fault(make, session, caplog):
    engine = make()
    session.fault = RuntimeError("out of memory")
    assert told(engine.submit(asked("one")))[1] == Failed("the model failed: RuntimeError", "error")
    assert "out of memory" in caplog.text
    assert told(engine.submit(asked("two")))[0] == "two"


def test_tickets_are_read_in_event_loops(make, session):
    engine = make()
    session.seconds = 0.002

    async def read(ticket):
        return [event async for event in ticket]

    async def both():
        return await asyncio.gather(*(read(engine.submit(asked(text))) for text in ("a b", "c d")))

    assert [[delta.text for delta in events[:-1]] for events in asyncio.run(both())] == [["a", " b"], ["c", " d"]]


def test_a_reader_that_is_gone_does_no_harm(make, session):
    engine = make()
    session.gate.clear()
    ticket = engine.submit(asked("a b"))

    async def first():
        async for _ in ticket:
            pass

    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first(), 0.05))
    session.gate.set()
    assert told(engine.submit(asked("c d")))[0] == "c d"


def test_closing_finishes_what_it_can_and_fails_the_rest(session):
    session.seconds = 0.1
    engine = Engine(session, EngineConfig(rows=1))
    short, long = engine.submit(asked("one")), engine.submit(asked("word " * 500, max_new_tokens=500))
    with within(30):  # the long answer takes fifty
        assert engine.close(within=1.5)
    assert told(short)[0] == "one"
    assert told(long)[1] == Failed("the server is shutting down", "closing")
    with pytest.raises(Closing):
        engine.submit(asked("late"))
    assert engine.not_ready == "the server is shutting down"


def test_errands_are_done_between_batches_in_the_same_thread(make, session):
    engine = make(rows=1)
    session.gate.clear()
    tickets = [engine.submit(asked("one")), engine.submit(asked("two"))]
    until(lambda: engine.running == 1)
    found = []

    def errand():
        found.append((threading.current_thread().name, engine.running, engine.depth))
        return "made"

    asking = threading.Thread(target=lambda: found.append(engine.run(errand)))
    asking.start()
    until(lambda: engine._errands)
    assert found == []  # the first answer is on its way
    session.gate.set()
    asking.join()
    assert found == [("engine", 0, 1), "made"]
    assert [told(ticket)[0] for ticket in tickets] == ["one", "two"]


def test_an_errand_that_fails_fails_for_who_sent_it(make):
    engine = make()
    with pytest.raises(ZeroDivisionError):
        engine.run(lambda: 1 / 0)
    assert engine.run(lambda: 2) == 2 and told(engine.submit(asked("one")))[0] == "one"
    engine.close()
    with pytest.raises(Closing):
        engine.run(lambda: 3)


def test_closing_again_ends_the_first_wait_also_where_a_program_runs(session, monkeypatch):
    monkeypatch.setattr(engine_module, "_JOIN", 0.05)
    session.gate.clear()
    engine = Engine(session)
    ticket = engine.submit(asked("one"))
    until(lambda: engine.running == 1)
    ended = []
    first = threading.Thread(target=lambda: ended.append(engine.close(within=300)))
    first.start()
    until(lambda: engine.not_ready)
    assert not engine.close()
    first.join(PATIENCE)
    assert ended == [False] and told(ticket)[1].kind == "closing"
    session.gate.set()
    until(engine.close)


def test_no_request_is_lost_where_many_threads_ask_and_cancel(make, session):
    engine = make(queue=16)
    ends = []

    def ask(number):
        for turn in range(20):
            try:
                ticket = engine.submit(asked(f"{number} {turn}"))
            except Busy:
                ends.append("busy")
                continue
            if (number + turn) % 5 == 0:
                ticket.cancel()
            text, last = told(ticket)
            assert isinstance(last, Failed) or text == f"{number} {turn}"
            ends.append("done" if isinstance(last, Done) else last.kind)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 32 * 20 and set(ends) <= {"busy", "done", "cancelled"}
    until(lambda: sum(engine.stats.counts("requests").values()) == 32 * 20)


def test_what_is_likely_is_asked_before_the_first_request(session):
    session.gate.clear()
    engine = Engine(session, EngineConfig(rows=4), warming=Warming([("one", ())], 8))
    until(lambda: "0 of 6 are ready" in engine.not_ready)
    ticket = engine.submit(asked("two"))
    session.gate.set()
    assert told(ticket)[0] == "two" and engine.not_ready == ""
    assert session.batches == [1, 1, 2, 2, 4, 4, 1]
    engine.close()


@pytest.mark.parametrize(
    "name, value", [("rows", -1), ("rows", 99), ("queue", 0), ("wait_s", 0), ("answer_s", float("inf"))]
)
def test_limits_out_of_range_are_refused(session, name, value):
    with pytest.raises(ConfigError, match=name):
        Engine(session, EngineConfig(**{name: value}))
