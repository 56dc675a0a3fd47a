"""Conversations as files, and asking them again."""

import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.files import Asked, Saved
from flamingo_jax.serving.dialogue.replay import replay, table
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from flamingo_jax.serving.uploads import Limits
from tests.data.samples import noise_bytes
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat
from tests.serving.dialogue.media import mp4, png

RED, RUN = Image(png(), "red.png"), Video(mp4(), "run.mp4", (0.0, 1.5))
SHOT = Turn("", (Image(png("blue"), "blue.png"),), "A blue square.")
SAVED = Saved(
    Conversation((Turn("What?", (RED, RUN), "A “square”."), Turn("<image> \x00?", (), ""))),
    (
        Asked(Settings(style="questions", shots=1), 512, 4, (SHOT,)),
        Asked(Settings(temperature=0.5, top_p=0.25, seed=7), 512, 4, (SHOT,), 1, "stopped", True),
    ),
)


def test_what_is_saved_comes_back(tmp_path):
    path = epath.Path(tmp_path) / "talk.json"
    files.save(path, SAVED)
    assert files.load(path) == SAVED
    assert [each.name for each in path.parent.iterdir()] == ["talk.json"]
    assert path.read_text().isascii()
    assert len(json.loads(path.read_text())["examples"]) == 1  # once, though two turns show it


def _without(record, *keys):
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    del inner[keys[-1]]


def _with(record, value, *keys):
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda record: _without(record, "format"), "no saved conversation"),
        (lambda record: _with(record, 9, "version"), "version 9, and this program reads 1"),
        (lambda record: _without(record, "turns", 0, "media"), "damaged: KeyError"),
        (lambda record: _with(record, "!", "turns", 0, "media", 0, "data"), "no base64"),
        (lambda record: _with(record, "IyEvYmluL3NoCg==", "turns", 0, "media", 0, "data"), "neither a picture"),
        (lambda record: _with(record, "video", "turns", 0, "media", 0, "kind"), "is called 'video'"),
        (lambda record: _with(record, None, "turns", 0, "answer"), "a text was expected"),
        (lambda record: _with(record, 99, "turns", 0, "asked", "settings", "beams"), "beams is a whole number"),
        (lambda record: _with(record, 1, "turns", 0, "asked", "settings", "tricks"), "damaged: TypeError"),
        (lambda record: _with(record, [4], "turns", 0, "asked", "examples"), "damaged: IndexError"),
        (lambda record: _with(record, {}, "turns"), None),
        (lambda record: _with(record, ["a"], "turns"), "damaged: TypeError"),
        (lambda record: _with(record, 1, "turns", 0, "asked", "dropped"), "asked without 1 turns before it, and has 0"),
        (lambda record: _with(record, "\ud800", "turns", 0, "answer"), "half of a character"),
    ],
)
def test_damaged_files_are_refused_in_one_line(damage, reason):
    record = json.loads(files.to_json(SAVED))
    damage(record)
    content = json.dumps(record).encode()
    if reason is None:  # no turns at all: an empty conversation
        assert files.from_json(content, "talk.json") == Saved(Conversation(), ())
        return
    with pytest.raises(ConfigError, match=reason) as caught:
        files.from_json(content, "talk.json")
    assert str(caught.value).startswith("talk.json") and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"[]", b"[" * 99_999, b'{"format": 1}'])
def test_other_files_are_refused(content):
    with pytest.raises(ConfigError, match="no saved conversation"):
        files.from_json(content, "other")


def test_files_that_are_too_large_are_neither_read_nor_written(tmp_path, monkeypatch):
    path = epath.Path(tmp_path) / "talk.json"
    files.save(path, SAVED)
    monkeypatch.setattr(files, "LARGEST", 10)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="more than 10 is not read"):
        files.load(path)
    with pytest.raises(ConfigError, match="begin a new conversation sooner"):
        files.save(path, SAVED)
    assert path.read_bytes() == before


def test_media_of_files_have_limits(tmp_path, monkeypatch):
    path = epath.Path(tmp_path) / "talk.json"
    files.save(path, SAVED)
    with pytest.raises(ConfigError, match=r"talk.json: \S+ has \d+ bytes: at most 50 are taken"):
        files.load(path, Limits(bytes=50))
    monkeypatch.setattr(files, "MOST_PIXELS", 100)
    with pytest.raises(ConfigError, match=r"talk.json: its pictures have more than 100 pixels together"):
        files.load(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="have 2,048 pixels together, more than the 100 that are read again"):
        files.save(path, SAVED)
    assert path.read_bytes() == before


def test_what_was_saved_is_read_whatever_its_media_were_allowed_to_have(tmp_path):
    """Here a picture of more pixels than are taken by default, and an example of more bytes than users may send."""
    large, shown = Image(png(side=8100), "large.png"), Turn("", (Image(noise_bytes(0, (90, 90), "PNG")),), "Noise.")
    asked = Asked(Settings(style="questions", shots=1), 512, 4, (shown,))
    path = epath.Path(tmp_path) / "talk.json"
    files.save(path, Saved(Conversation((Turn("What?", (large,), "Red."),)), (asked,)))
    assert files.load(path).conversation.turns[0].media == (large,)
    small = Saved(Conversation((Turn("What?", (RED,), "Red."),)), (asked,))
    files.save(path, small)
    limits = Limits(bytes=len(RED.encoded))
    assert len(shown.media[0].encoded) > limits.bytes
    assert files.load(path, limits).conversation == small.conversation


def _saved(say) -> Saved:
    talk = Talk(fake_chat(FakeEngine(say), tokens=300))
    for number in range(4):
        list(talk.ask(f"Question {number}?", (RED,), Settings(style="questions")))
    return files.from_json(files.to_json(talk.saved).encode(), "talk.json")


def test_a_replay_asks_what_was_asked():
    def say(request):  # depends on all of the prompt
        return f"It has {len(request.prompt_text)} letters, {len(request.media)} pictures."

    saved = _saved(say)
    again = FakeEngine(say)
    rows = list(replay(fake_chat(again, tokens=9999), saved))
    assert saved.asked[-1].dropped > 0
    assert [row.equal for row in rows] == [True] * 4
    assert table(rows).endswith("4 of 4 answers are equal")
    assert rows[0].record["media"] == ["red.png"] and "red.png" in table(rows)


def test_a_replay_with_another_model_says_what_differs():
    saved = _saved(lambda request: "yes")
    count = iter(range(9))
    rows = list(replay(fake_chat(FakeEngine(lambda request: "no" if next(count) == 1 else "yes")), saved))
    assert [row.equal for row in rows] == [True, False, True, True]
    assert "NOT EQUAL" in table(rows) and table(rows).endswith("3 of 4 answers are equal")


def test_a_replay_goes_on_after_a_question_that_cannot_be_asked():
    rows = list(replay(fake_chat(FakeEngine()), SAVED))
    assert [(row.equal, row.note) for row in rows] == [(False, ""), (None, "the saved answer was stopped")]
    without_rule = Saved(Conversation((Turn("a", (), "b"),)), (Asked(Settings(abstain=True), 512, 4),))
    (row,) = replay(fake_chat(FakeEngine()), without_rule)
    assert row.answer is None and row.equal is None and "no rule" in row.note
