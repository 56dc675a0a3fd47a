"""What happens when the user does something on the page."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.chat import ChatError
from flamingo_jax.serving.dialogue.received import receive
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.uploads import Limits, UploadError
from flamingo_jax.serving.web.thumbnails import Thumbnails
from flamingo_jax.serving.web.transcript import answer_so_far, notice, seen, transcript
from flamingo_jax.serving.web.visitors import Visitors

DOWNLOAD = "conversation.json"
_THUMBNAILS = 256
_WRITING = {"submit_btn": False, "stop_btn": True}
_READY = {"submit_btn": True, "stop_btn": False}

View = tuple[Any, str, str, str, str]
"""What the page shows: composer, history, answer that is being written, notice, and what the model saw."""


class Handlers:
    """The page's actions; each returns what is to be shown."""

    def __init__(self, visitors: Visitors, limits: Limits, window: int):
        """
        Args:
          limits: of each file that the user sends.
          window: tokens that the model sees.
        """
        self._visitors, self._limits, self._window = visitors, limits, window
        self._thumbnail = Thumbnails(_THUMBNAILS)

    def ask(
        self,
        message: Mapping[str, Any] | None,
        style: str,
        answer_tokens: float,
        beams: float,
        temperature: float,
        top_p: float,
        seed: float,
        shots: float,
        abstain: bool,
        request: gr.Request,
    ) -> Iterator[View]:
        """Sends what is in the composer, and shows the answer as it grows. What is not answered stays there."""
        talk = self._talk(request)
        text, paths = (message or {}).get("text") or "", [Path(path) for path in (message or {}).get("files", ())]
        kept = gr.update(value={"text": text, "files": list(map(str, paths))}, **_READY)
        answer, turns = None, len(talk.conversation.turns)
        try:
            settings = _settings(style, answer_tokens, beams, temperature, top_p, seed, shots, abstain)
            answer = talk.ask(text, [receive(path, self._limits) for path in paths], settings)
            next(answer)  # the question stands
            dropped = talk.dropped
            yield self._view(talk, gr.update(value={"text": "", "files": []}, **_WRITING), live=answer_so_far(""))
            next(answer)  # the model was asked
            history = gr.skip() if talk.dropped == dropped else transcript(talk, self._thumbnail)
            yield gr.skip(), history, gr.skip(), gr.skip(), seen(talk, self._window)
            for so_far in answer:
                yield gr.skip(), gr.skip(), answer_so_far(so_far), gr.skip(), gr.skip()  # the user may write on
        except (ChatError, ConfigError, UploadError) as error:
            yield self._view(talk, kept, problem=str(error))
            return
        finally:
            if answer is not None:
                answer.close()
        if len(talk.conversation.turns) == turns:  # stopped before the first word
            yield self._view(talk, kept)
            return
        for path in paths:
            path.unlink(missing_ok=True)
        yield self._view(talk, gr.update(**_READY))

    def stop(self, request: gr.Request) -> None:
        """Ends the answer that is being written."""
        self._talk(request).stop()

    def begin(self, request: gr.Request) -> View:
        """A new conversation."""
        return self._changed(self._talk(request))

    def load(self, path: str | None, request: gr.Request) -> View:
        """Goes on with a saved conversation."""
        talk = self._talk(request)
        if path is None:
            return self._view(talk)
        try:
            saved = files.load(epath.Path(path), self._limits)
        except (ConfigError, OSError) as error:
            return self._view(talk, problem=str(error))
        finally:
            Path(path).unlink(missing_ok=True)
        return self._changed(talk, saved)

    def save(self, request: gr.Request) -> tuple[Any, str]:
        """The file to download, and what is wrong if there is none."""
        visitor = self._visitors(request.session_hash)
        if not visitor.talk.asked:
            return None, notice("there is nothing to save yet: ask something first")
        path = visitor.folder / DOWNLOAD
        try:
            files.save(epath.Path(path), visitor.talk.saved)
        except (ConfigError, OSError) as error:
            return None, notice(str(error))
        return str(path), ""

    def leave(self, request: gr.Request) -> None:
        """The tab was closed: its answer ends, and its conversation is forgotten."""
        self._visitors.leaves(request.session_hash)

    def _talk(self, request: gr.Request) -> Talk:
        return self._visitors(request.session_hash).talk

    def _changed(self, talk: Talk, saved: files.Saved | None = None) -> View:
        try:
            talk.begin(saved)
        except ChatError as error:
            return self._view(talk, problem=str(error))
        return self._view(talk)

    def _view(self, talk: Talk, composer: Any = None, live: str = "", problem: str = "") -> View:
        history = transcript(talk, self._thumbnail)
        return composer or gr.skip(), history, live, notice(problem), seen(talk, self._window)


def _settings(
    style: str,
    answer_tokens: float,
    beams: float,
    temperature: float,
    top_p: float,
    seed: float,
    shots: float,
    abstain: bool,
) -> Settings:
    """What the panel says.

    Raises:
      ConfigError: a value is missing or out of range.
    """
    numbers = {"answer_tokens": answer_tokens, "beams": beams, "seed": seed, "shots": shots}
    for name, value in numbers.items():
        if not isinstance(value, (int, float)) or value != int(value):
            raise ConfigError(f"{name.replace('_', ' ')} is a whole number; got {value!r}")
    whole = {name: int(value) for name, value in numbers.items()}
    return Settings(style=style, temperature=temperature, top_p=top_p, abstain=bool(abstain), **whole)
