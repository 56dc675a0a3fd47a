"""The page's actions, one view after the other."""

import types

import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install -e '.[chat]'")

from flamingo_jax.serving.uploads import DEFAULT
from flamingo_jax.serving.web.handlers import Handlers
from flamingo_jax.serving.web.visitors import Visitors
from tests.serving.dialogue.fake_engine import UNLIKE, FakeEngine, fake_chat
from tests.serving.dialogue.media import png

TAB = types.SimpleNamespace(session_hash="tab")
PLAIN, AFTER_AN_EXAMPLE = (("questions", 64, 1, 0, 1, 0, shots, False) for shots in (0, 1))
COMPOSER, HISTORY, LIVE, _, SEEN = range(5)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def handlers(engine, tmp_path):
    visitors = Visitors(fake_chat(engine, tokens=200, support=UNLIKE), tmp_path)
    yield Handlers(visitors, DEFAULT, 200)
    visitors.close()


def _message(tmp_path, text):
    path = tmp_path / "red.png"
    path.write_bytes(png())
    return {"text": text, "files": [str(path)]}


def test_a_question_is_shown_before_the_device_is_waited_for(handlers, engine, tmp_path):
    views = handlers.ask(_message(tmp_path, "What is it?"), *AFTER_AN_EXAMPLE, TAB)
    first = next(views)
    assert engine.errands == 0 and "What is it?" in first[HISTORY] and "looking" in first[LIVE]
    assert first[COMPOSER]["stop_btn"] and first[COMPOSER]["value"]["text"] == ""
    second = next(views)
    assert engine.errands == 1 and " of 200 tokens" in second[SEEN]
    assert "pictures." in [*views][-1][HISTORY]


def test_a_question_that_is_stopped_while_it_waits_for_the_device_stays(handlers, engine, tmp_path):
    engine.say, engine.pause = lambda request: "", 30.0
    views = handlers.ask(_message(tmp_path, "What is it?"), *AFTER_AN_EXAMPLE, TAB)
    next(views)
    handlers.stop(TAB)
    last = [*views][-1]
    assert last[COMPOSER]["value"]["text"] == "What is it?" and "What is it?" not in last[HISTORY]
    assert (tmp_path / "red.png").exists()


def test_what_the_model_no_longer_sees_is_grey_while_it_answers(handlers, tmp_path):
    greyed = []
    for number in range(5):
        views = list(handlers.ask(_message(tmp_path, f"Question {number}?"), *PLAIN, TAB))
        greyed.append('class="gone"' in str(views[1][HISTORY]))
        assert ('class="gone"' in views[-1][HISTORY]) >= greyed[-1]
    assert any(greyed) and not greyed[0]
