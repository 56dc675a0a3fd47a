"""A conversation in the terminal, or through a pipe: questions in, answers out."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.chat import ChatError
from flamingo_jax.serving.dialogue.received import receive
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.terminal.commands import changed, parse, usage
from flamingo_jax.serving.uploads import Limits, UploadError

PROMPT = "> "
_ERRORS = (ChatError, ConfigError, UploadError, OSError)


class Terminal:
    """Reads lines until there are none. Answers go to `out`; all else, to `err`."""

    def __init__(
        self,
        talk: Talk,
        settings: Settings,
        limits: Limits,
        read: Callable[[str], str],
        out: TextIO,
        err: TextIO,
        people: bool,
    ):
        """
        Args:
          read: gives the next line after showing its argument; EOFError: there is none. As `input` does.
          people: whether somebody types: a prompt is shown, and what was done is said. Through a pipe it is not.
        """
        self._talk, self._settings, self._limits = talk, settings, limits
        self._read, self._out, self._err, self._people = read, out, err, people
        self._media: list[Image | Video] = []

    def run(self) -> int:
        """Returns the exit status: 1 if something went wrong and nobody was there to see it."""
        self._say("Ask about pictures: /image FILE, then a question. /help shows more, Ctrl-D leaves.")
        failed = False
        while True:
            try:
                line = self._read(PROMPT if self._people else "")
            except EOFError:
                self._say("")
                break
            except KeyboardInterrupt:
                self._say("\nCtrl-C stops an answer; Ctrl-D or /quit leaves")
                continue
            try:
                if not self._do(line):
                    break
            except KeyboardInterrupt:
                self._say("\ninterrupted")
            except BrokenPipeError:  # nobody reads the answers any more
                return 1
            except _ERRORS as error:
                failed = True
                print(f"error: {error}", file=self._err, flush=True)
        return 1 if failed and not self._people else 0

    def _do(self, text: str) -> bool:
        """Does what a line says; False: to leave."""
        line = parse(text)
        match line.command:
            case "quit":
                return False
            case "":
                self._ask(line.argument)
            case "image" | "video":
                medium = receive(Path(line.argument).expanduser(), self._limits)
                self._media.append(medium)
                kind = "clip" if isinstance(medium, Video) else "picture"
                self._say(f"{medium.source}: a {kind}, to be sent with your next question")
            case "settings":
                self._change(line.argument)
            case "new":
                self._talk.begin()
                self._media.clear()
                self._say("a new conversation")
            case "save":
                files.save(epath.Path(line.argument).expanduser(), self._talk.saved)
                self._say(f"saved: {line.argument}")
            case "load":
                self._load(line.argument)
            case "help":
                print(usage(), file=self._err, flush=True)
        return True

    def _ask(self, text: str) -> None:
        if not text and not self._media:
            return  # an empty line
        before, turns, shown = self._talk.dropped, len(self._talk.conversation.turns), ""
        try:
            with contextlib.closing(self._talk.ask(text, tuple(self._media), self._settings)) as answers:
                for answer in answers:
                    print(answer[len(shown) :], end="", file=self._out, flush=True)
                    shown = answer
        except KeyboardInterrupt:
            print(file=self._out, flush=True)
            self._say("stopped")
            return
        except ChatError:
            if shown:
                print(file=self._out, flush=True)
            raise
        finally:
            if len(self._talk.conversation.turns) > turns:  # else they go with the next question
                self._media.clear()
        print(file=self._out, flush=True)
        self._remark(before)

    def _remark(self, dropped_before: int) -> None:
        done, dropped = self._talk.done[-1], self._talk.dropped
        if done is not None and done.evidence is not None:
            figures = [
                f"{name} {value:.3g}"
                for name, value in dataclasses.asdict(done.evidence).items()
                if isinstance(value, (int, float))
            ]
            sure = "" if done.confidence is None else f"confidence {done.confidence:.2f}, of "
            print(f"[{sure}{', '.join(figures)}]", file=self._err, flush=True)
        if dropped > dropped_before:
            first = "message" if dropped == 1 else f"{dropped} messages"
            print(f"[the model no longer sees the first {first}]", file=self._err, flush=True)

    def _change(self, assignments: str) -> None:
        if assignments:
            self._settings = changed(self._settings, assignments)
        if self._people or not assignments:
            for name, value in dataclasses.asdict(self._settings).items():
                print(f"{name}={str(value).lower() if isinstance(value, bool) else value}", file=self._err, flush=True)

    def _load(self, name: str) -> None:
        saved = files.load(epath.Path(name).expanduser(), self._limits)
        self._talk.begin(saved)
        self._media.clear()
        if saved.asked:
            self._settings = saved.asked[-1].settings
        for turn in saved.conversation.turns if self._people else ():
            sent = "".join(f"[{medium.source}] " for medium in turn.media)
            self._say(f"{PROMPT}{sent}{turn.text}\n{turn.answer}")

    def _say(self, text: str) -> None:
        """For people alone."""
        if self._people:
            print(text, file=self._err, flush=True)
