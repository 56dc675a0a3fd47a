"""Asking a saved conversation again: each question after the saved turns before it, as it was asked then."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from etils import epath

from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.chat import STOPPED, Chat, ChatError
from flamingo_jax.serving.dialogue.files import Saved
from flamingo_jax.serving.dialogue.opening import chat_of, open_engine
from flamingo_jax.serving.dialogue.turns import Conversation, Turn


@dataclasses.dataclass(frozen=True)
class Row:
    """One question with both answers.

    Attributes:
      turn: its number, from 1.
      question: as the user wrote it.
      media: names of what was sent with it.
      saved: the answer in the file.
      answer: the one now; None: there is none, and the note says why.
      equal: whether they are the same; None: they are not to be compared.
      note: what a reader must know of it.
    """

    turn: int
    question: str
    media: tuple[str, ...]
    saved: str
    answer: str | None
    equal: bool | None
    note: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        return dataclasses.asdict(self) | {"media": list(self.media)}


def replay(chat: Chat, saved: Saved) -> Iterator[Row]:
    """A row for each turn, one after another. With the same model, greedy answers and beam searches are equal."""
    turns = saved.conversation.turns
    for place, (turn, asked) in enumerate(zip(turns, saved.asked, strict=True)):
        conversation = Conversation((*turns[:place], dataclasses.replace(turn, answer=None)))
        then = dataclasses.replace(chat, tokens=asked.window, images=asked.images)
        try:
            asking, _ = then.ask(conversation, asked.settings, asked.examples)
            for _ in asking:
                pass
        except ChatError as error:
            yield _row(place, turn, None, None, str(error))
            continue
        if asked.finish == STOPPED:
            yield _row(place, turn, asking.text, None, "the saved answer was stopped")
        else:
            note = "" if asked.settings.repeatable else "drawn, with the same seed"
            yield _row(place, turn, asking.text, asking.text == turn.answer, note)


def _row(place: int, turn: Turn, answer: str | None, equal: bool | None, note: str) -> Row:
    media = tuple(medium.source for medium in turn.media)
    return Row(place + 1, turn.text, media, turn.answer or "", answer, equal, note)


def table(rows: list[Row]) -> str:
    """What people read."""
    lines = []
    for row in rows:
        verdict = {True: "equal", False: "NOT EQUAL", None: "not compared"}[row.equal]
        sent = f" [{', '.join(row.media)}]" if row.media else ""
        lines += [
            f"{row.turn}.{sent} {row.question}".rstrip(),
            f"   saved: {row.saved}",
            f"   now:   {'-' if row.answer is None else row.answer}",
            f"   {verdict}" + (f" ({row.note})" if row.note else ""),
        ]
    compared = [row for row in rows if row.equal is not None]
    return "\n".join([*lines, f"{sum(row.equal for row in compared)} of {len(compared)} answers are equal"])


def replay_file(workdir: epath.Path, step: int | None, path: epath.Path, output: epath.Path | None) -> str:
    """Asks the model of a workdir a saved conversation again; returns what people read.

    Args:
      step: of the checkpoint; None: the newest.
      output: a JSON file to write the rows to.

    Raises:
      ConfigError, OSError: the file is no conversation, or cannot be read; or as `Session.open`.
    """
    saved = files.load(path)  # before the weights, which take long
    session = Session.open(workdir, step)
    engine = open_engine(session, workdir)
    try:
        rows = list(replay(chat_of(engine, session), saved))
    finally:
        engine.close()
    if output is not None:
        about = {"conversation": path.name, "workdir": str(workdir), "step": session.step}
        write_whole(output, json.dumps(about | {"turns": [row.record for row in rows]}, indent=1))
    return table(rows)
