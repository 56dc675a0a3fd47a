"""A conversation with an engine that follows a script."""

import threading

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image
from flamingo_jax.serving.dialogue.chat import ChatError
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import MOST_MEDIA, Talk
from flamingo_jax.serving.engine.events import CANCELLED, ERROR, Done, Failed
from flamingo_jax.serving.engine.request import Busy
from tests.patience import PATIENCE, until, within
from tests.serving.dialogue.fake_engine import UNLIKE, FakeEngine, fake_chat
from tests.serving.dialogue.media import png

SHORT = Settings(style="questions")
CAT = Image(b"cat", "cat.png")


def test_an_answer_grows_and_the_next_question_shows_it_to_the_model():
    engine = FakeEngine()
    talk = Talk(fake_chat(engine))
    grown = list(talk.ask("What is it?", (CAT,), SHORT))
    assert grown == ["", "", "Answer", "Answer 1", "Answer 1 about", "Answer 1 about 1", "Answer 1 about 1 pictures."]
    list(talk.ask("And now?", (), SHORT))
    assert engine.requests[1].prompt_text == (
        "<image>Question: What is it? Answer: Answer 1 about 1 pictures.<EOC>Question: And now? Answer:"
    )
    assert engine.requests[1].sampling == SHORT.sampling
    assert [each.finish for each in talk.asked] == ["stop", "stop"]
    assert talk.saved.conversation == talk.conversation


def test_turns_that_the_model_no_longer_sees_are_counted():
    talk = Talk(fake_chat(FakeEngine(), tokens=200))
    dropped = []
    for number in range(5):
        list(talk.ask(f"Question {number}?", (CAT,), SHORT))
        dropped.append(talk.dropped)
    assert dropped[0] == 0 and dropped == sorted(dropped) and dropped[-1] >= 3
    assert [each.dropped for each in talk.asked] == dropped


def test_a_stopped_answer_stays_as_far_as_it_was_written():
    engine = FakeEngine(pause=1)
    talk = Talk(fake_chat(engine))
    for text in talk.ask("What?", (CAT,), SHORT):
        if text == "Answer 1":
            talk.stop()
    assert talk.conversation.turns[-1].answer.startswith("Answer 1")
    assert len(talk.conversation.turns[-1].answer) < len("Answer 1 about 1 pictures.")
    assert talk.asked[-1].finish == "stopped"
    assert engine.ended == [Failed("the request was cancelled", CANCELLED)]


def test_whoever_reads_no_further_cancels_the_request():
    engine = FakeEngine(pause=60)
    talk = Talk(fake_chat(engine))
    answer = talk.ask("What?", (CAT,), SHORT)
    next(answer), next(answer), next(answer)
    answer.close()
    assert engine.ended[0].kind == CANCELLED
    assert talk.asked[-1].finish == "stopped"


def test_a_question_stands_before_the_device_is_waited_for_and_may_be_given_up():
    engine = FakeEngine()
    talk = Talk(fake_chat(engine, support=UNLIKE))
    answer = talk.ask("What?", (CAT,), Settings(style="questions", shots=1))
    assert next(answer) == "" and engine.errands == 0
    assert talk.conversation.waits and talk.conversation.turns[-1].text == "What?"
    answer.close()
    assert talk.conversation.turns == () and engine.requests == []


def test_an_answer_that_is_stopped_before_its_first_word_leaves_nothing_behind():
    engine = FakeEngine(lambda request: "", pause=60)
    talk = Talk(fake_chat(engine))
    for _ in talk.ask("What?", (CAT,), SHORT):
        talk.stop()
    assert talk.conversation.turns == () and talk.asked == () and talk.done == ()
    assert engine.ended[0].kind == CANCELLED


def test_what_waits_for_the_device_holds_nobody_up():
    """The examples of a question are compared on the device, which may be busy with another's answer for long."""
    engine, busy = FakeEngine(lambda request: "", pause=60), threading.Event()
    engine.run = lambda errand: (busy.wait(PATIENCE), errand())[1]
    talk = Talk(fake_chat(engine, support=UNLIKE))
    settings = Settings(style="questions", shots=1)
    asking = threading.Thread(target=lambda: list(talk.ask("What?", (CAT,), settings)))
    asking.start()
    until(lambda: talk.conversation.waits)
    with within(PATIENCE / 2):
        assert talk.saved.conversation.turns == ()
        with pytest.raises(ChatError, match="wait for the answer"):
            talk.begin()
        talk.close()
    busy.set()
    asking.join(PATIENCE)
    assert talk.conversation.turns == () and [event.kind for event in engine.ended] == [CANCELLED]


def test_a_question_that_fails_leaves_what_the_model_saw_before():
    engine = FakeEngine()
    talk = Talk(fake_chat(engine, tokens=150))
    list(talk.ask("What?", (), SHORT))
    seen = talk.dropped, talk.tokens
    engine.failure = Failed("the model broke", ERROR)
    with pytest.raises(ChatError):
        list(talk.ask("And? " * 5, (), SHORT))
    assert (talk.dropped, talk.tokens) == seen
    engine.failure = None
    list(talk.ask("And? " * 5, (), SHORT))
    assert talk.dropped > seen[0]


def test_closing_ends_the_answer_and_lets_nothing_be_asked():
    engine = FakeEngine(pause=60)
    talk = Talk(fake_chat(engine))
    answer = talk.ask("What?", (CAT,), SHORT)
    next(answer)
    talk.close()
    list(answer)
    assert engine.ended[0].kind == CANCELLED
    with pytest.raises(ChatError):
        list(talk.ask("And?", (), SHORT))


def test_failures_leave_nothing_behind():
    engine = FakeEngine()
    talk = Talk(fake_chat(engine))
    engine.failure = Failed("the model broke", ERROR)
    with pytest.raises(ChatError, match="the model broke"):
        list(talk.ask("What?", (CAT,), SHORT))
    engine.refusal = Busy("64 requests wait already", 3.2)
    with pytest.raises(ChatError, match=r"64 requests wait already\. Try again in 3 s"):
        list(talk.ask("What?", (CAT,), SHORT))
    assert talk.conversation.turns == () and talk.asked == ()
    engine.refusal = engine.failure = None
    list(talk.ask("What?", (CAT,), SHORT))
    assert len(talk.conversation.turns) == 1


def test_a_second_question_waits_for_the_first_answer():
    talk = Talk(fake_chat(FakeEngine(pause=0.01)))
    answer = talk.ask("What?", (CAT,), SHORT)
    next(answer)
    with pytest.raises(ChatError, match="wait for the answer"):
        next(talk.ask("And?", (), SHORT))
    with pytest.raises(ChatError, match="wait for the answer"):
        talk.begin()
    list(answer)
    talk.begin()
    assert talk.conversation.turns == ()


def test_what_cannot_be_asked_is_said():
    talk = Talk(fake_chat(FakeEngine(), tokens=80, images=1))
    for text, media, settings, reason in (
        ("", (), SHORT, "neither text nor media"),
        ("a", (CAT, CAT), SHORT, "2 pictures, and the model takes 1"),
        ("a" * 99, (), SHORT, "window holds 80"),
        ("a", (), Settings(answer_tokens=99), "let answers be shorter"),
        ("a", (), Settings(abstain=True), "no rule"),
        ("a", (CAT,), Settings(shots=2), "no support folder"),
        ("a", (Image(bytes(MOST_MEDIA + 1)),), SHORT, "begin a new one"),
        ("a", (Image(png(side=9000)),) * 10, SHORT, "up to 750,000,000 pixels together"),
    ):
        with pytest.raises(ChatError, match=reason):
            list(talk.ask(text, media, settings))
    assert talk.conversation.turns == ()


def test_abstention_is_recorded():
    engine = FakeEngine(lambda request: "I don't know.")
    engine.abstained = True
    talk = Talk(fake_chat(engine, abstains=True))
    list(talk.ask("What?", (CAT,), Settings(style="questions", abstain=True)))
    assert engine.requests[0].abstain and talk.asked[0].abstained
    assert isinstance(talk.done[0], Done)


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"beams": 0}, "beams is a whole number, 1 to 8"),
        ({"beams": 2, "temperature": 0.5}, "beam search draws nothing"),
        ({"temperature": float("nan")}, "temperature is a number"),
        ({"top_p": 0.0}, "top_p is above 0"),
        ({"style": "poem"}, "no style 'poem'"),
        ({"seed": True}, "seed is a whole number"),
        ({"abstain": 1}, "abstain is true or false"),
    ],
)
def test_settings_are_checked(values, reason):
    with pytest.raises(ConfigError, match=reason):
        Settings(**values)
