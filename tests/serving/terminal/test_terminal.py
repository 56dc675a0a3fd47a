"""The terminal, with an engine that follows a script."""

import io

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.engine.request import Busy
from flamingo_jax.serving.terminal.commands import COMMANDS, Line, changed, parse, usage
from flamingo_jax.serving.terminal.terminal import Terminal
from flamingo_jax.serving.uploads import Limits
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat
from tests.serving.dialogue.media import mp4, png


class Console:
    """A terminal on a script of lines; a line may be an exception, as Ctrl-C is, or be made when it is read."""

    def __init__(self, engine: FakeEngine, people: bool, tokens: int = 4096):
        self.engine, self.people = engine, people
        self.talk = Talk(fake_chat(engine, tokens))
        self.out, self.err = io.StringIO(), io.StringIO()
        self.prompts = []

    def run(self, *lines) -> int:
        """The exit status."""
        script = iter(lines)

        def read(prompt):
            self.prompts.append(prompt)
            line = next(script, EOFError())
            if isinstance(line, BaseException):
                raise line
            return line() if callable(line) else line

        settings = Settings(style="questions")
        return Terminal(self.talk, settings, Limits(bytes=100_000), read, self.out, self.err, self.people).run()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a red.png").write_bytes(png())
    (tmp_path / "clip.mp4").write_bytes(mp4())
    (tmp_path / "script.png").write_text("#!/bin/sh\nrm -rf /\n")
    (tmp_path / "cut.png").write_bytes(png(side=200)[:60])
    (tmp_path / "large.png").write_bytes(png() + bytes(100_000))
    return tmp_path


def test_through_a_pipe_there_are_answers_and_nothing_else(folder):
    console = Console(FakeEngine(), people=False)
    assert console.run(f"/image {folder}/a red.png\n", "What is it?\n", "\n", "//s and now?\n") == 0
    assert console.out.getvalue() == "Answer 1 about 1 pictures.\nAnswer 2 about 1 pictures.\n"
    assert console.err.getvalue() == "" and set(console.prompts) == {""}
    assert [turn.text for turn in console.talk.conversation.turns] == ["What is it?", "/s and now?"]


def test_people_are_told_what_happens(folder):
    console = Console(FakeEngine(), people=True)
    lines = (f"/image '{folder}/a red.png'", f"/video {folder}/clip.mp4", "Which?", "/new", "/help", "/quit", "never")
    assert console.run(*lines) == 0
    told = console.err.getvalue()
    assert "a red.png: a picture" in told and "clip.mp4: a clip" in told and "a new conversation" in told
    assert all(f"/{name}" in told for name in COMMANDS)
    assert console.engine.requests[0].prompt_text == "<image><image>Question: Which? Answer:"
    assert len(console.engine.requests) == 1 and console.talk.conversation.turns == ()


@pytest.mark.parametrize(
    "line, reason",
    [
        ("/image {}/script.png", "script.png: neither a picture"),
        ("/image {}/cut.png", "cut.png"),
        ("/image {}/large.png", "large.png has 0.1 MB: at most 0.1 MB are taken"),
        ("/image {}/none.png", "none.png cannot be read: No such file"),
        ("/video {}", "cannot be read: Is a directory"),
        ("/image", "/image needs a file"),
        ("/dance", "no command /dance"),
        ("/settings beams=99", "beams is a whole number, 1 to 8"),
        ("/settings colour=red", "'colour=red' is no setting"),
        ("/load {}/script.png", "no saved conversation"),
        ("/save {}/no/folder.json", "No such file"),
    ],
)
def test_what_goes_wrong_is_one_line_and_the_conversation_goes_on(folder, line, reason):
    console = Console(FakeEngine(), people=False)
    assert console.run(line.format(folder), "What?") == 1
    assert console.err.getvalue().startswith("error: ") and reason in console.err.getvalue()
    assert console.err.getvalue().count("\n") == 1
    assert console.out.getvalue() == "Answer 1 about 0 pictures.\n"


def test_ctrl_c_stops_the_answer_and_not_the_program():
    class Interrupted(io.StringIO):
        def write(self, text):
            if "words" in text:
                raise KeyboardInterrupt
            return super().write(text)

    console = Console(FakeEngine(lambda request: "some words and more of them", pause=0.5), people=True)
    console.out = Interrupted()
    assert console.run(KeyboardInterrupt(), "What?", "And?", "/quit") == 0
    assert [each.finish for each in console.talk.asked] == ["stopped", "stopped"]
    assert "Ctrl-C stops an answer" in console.err.getvalue() and "stopped" in console.err.getvalue()
    assert [event.kind for event in console.engine.ended] == ["cancelled"] * 2


def test_a_picture_stays_for_the_next_question_after_one_that_failed(folder):
    engine = FakeEngine()
    engine.refusal = Busy("64 requests wait already", 3.2)
    console = Console(engine, people=True)

    def again() -> str:
        engine.refusal = None
        return "What?"

    console.run(f"/image {folder}/a red.png", "What?", again, "And now?")
    assert "Try again in 3 s" in console.err.getvalue()
    assert [len(turn.media) for turn in console.talk.conversation.turns] == [1, 0]


def test_ctrl_c_ends_a_command_and_not_the_program(folder, monkeypatch):
    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "load", interrupted)
    console = Console(FakeEngine(), people=True)
    assert console.run(f"/load {folder}/talk.json", "What?") == 0
    assert "interrupted" in console.err.getvalue() and len(console.talk.asked) == 1


def test_it_ends_when_nobody_reads_the_answers():
    class Closed(io.StringIO):
        def write(self, text):
            if text:  # nothing can be written to anybody
                raise BrokenPipeError

    console = Console(FakeEngine(), people=False)
    console.out = Closed()
    assert console.run("What?", "And?") == 1
    assert len(console.engine.requests) == 1 and console.err.getvalue() == ""


def test_settings_change_what_is_asked():
    console = Console(FakeEngine(), people=False)
    console.run("/settings temperature=0.5 top_p=0.9 seed=3 answer_tokens=7", "What?", "/settings")
    sampling = console.engine.requests[0].sampling
    assert (sampling.temperature, sampling.top_p, sampling.seed, sampling.max_new_tokens) == (0.5, 0.9, 3, 7)
    assert "temperature=0.5\n" in console.err.getvalue() and "abstain=false\n" in console.err.getvalue()


def test_a_saved_conversation_goes_on(folder):
    first = Console(FakeEngine(), people=False)
    first.run(f"/image {folder}/a red.png", "What?", f"/save {folder}/talk.json")
    second = Console(FakeEngine(), people=True)
    second.run(f"/load {folder}/talk.json", "And now?", f"/save {folder}/more.json")
    assert "[a red.png] What?\nAnswer 1 about 1 pictures." in second.err.getvalue()
    assert "Answer 1 about 1 pictures.<EOC>" in second.engine.requests[0].prompt_text
    assert len(files.load(epath.Path(folder) / "more.json").asked) == 2


def test_it_says_what_the_model_no_longer_sees():
    console = Console(FakeEngine(), people=False, tokens=180)
    console.run("What?", "And?", "And now?", "And then?")
    assert "[the model no longer sees the first message]" in console.err.getvalue()


def test_lines_are_read_as_written():
    assert parse("  hello /image  ") == Line("", "hello /image")
    assert parse("/image  my cat.png ") == Line("image", "my cat.png")
    assert len(usage().splitlines()) == len(COMMANDS)


def test_settings_are_named_values():
    assert changed(Settings(), "abstain=on beams=3") == Settings(abstain=True, beams=3)
    for wrong in ("beams", "beams=", "beams=x", "abstain=maybe", "style='"):
        with pytest.raises(ConfigError):
            changed(Settings(), wrong)
