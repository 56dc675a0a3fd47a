"""A folder of answered pictures, of which the most alike are shown before a conversation (RICES)."""

import dataclasses
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.fewshot.features import features
from flamingo_jax.evaluation.fewshot.support import Rices
from flamingo_jax.evaluation.text_files import read_objects
from flamingo_jax.inference.session import Session
from flamingo_jax.serving.dialogue.files import OWN
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from flamingo_jax.serving.uploads import check_upload

METADATA = "metadata.jsonl"
"""One JSON object a line, `file_name`, `question` (may be empty or left out) and `answer`, as ImageFolder has it."""
_LINES = ": write one JSON object a line, in UTF-8, with file_name, question and answer"


@dataclasses.dataclass(frozen=True)
class Support:
    """Examples, and what tells which are like a picture.

    Attributes:
      turns: each with one medium and its answer.
      features: of their media, of length 1.
      session: whose encoder made them.
    """

    turns: tuple[Turn, ...]
    features: Float[np.ndarray, "turns width"]
    session: Session

    @classmethod
    def open(cls, folder: epath.Path, session: Session) -> "Support":
        """Reads a folder and encodes its pictures and clips.

        Raises:
          ConfigError: a file or line is missing or damaged; the message names it.
        """
        examples = _examples(folder)
        try:
            with tempfile.TemporaryDirectory() as scratch:
                found = features(session, [item for item, _ in examples], epath.Path(scratch) / "support.npz")
        except (OSError, MediaError) as error:
            raise ConfigError(f"the support folder {folder}: {error}") from error
        turns = tuple(turn for _, turn in examples)
        return cls(turns, found, session)

    def nearest(self, conversation: Conversation, count: int) -> tuple[Turn, ...]:
        """The examples that are most like the last picture of the conversation, the nearest last.

        None where no picture was sent: there is nothing to compare.

        Raises:
          MediaError: that picture cannot be decoded.
        """
        shown = [medium for turn in conversation.turns for medium in turn.media]
        if not shown or not count:
            return ()
        query, item = self._feature(shown[-1]), Item("", MediaFile(""), "", "")
        return tuple(self.turns[place] for place in Rices(query, self.features)(item, 0, count, 0))

    def _feature(self, medium: Image | Video) -> Float[np.ndarray, "1 width"]:
        frames = self.session.pixels.num_frames if isinstance(medium, Video) else 1
        return self.session.pooled_features([medium], 1, frames)


def _examples(folder: epath.Path) -> list[tuple[Item, Turn]]:
    path = folder / METADATA
    if not path.exists():
        raise ConfigError(f"the support folder {folder} needs a file {METADATA}{_LINES}")
    examples = [_example(folder, record, where) for where, record in read_objects(path, _LINES)]
    if not examples:
        raise ConfigError(f"{path} has no line: each is one example")
    return examples


def _example(folder: epath.Path, record: Mapping[str, Any], where: str) -> tuple[Item, Turn]:
    """For its features, and to be shown; checked as what is read from a saved conversation, where it may stand."""
    name, question, answer = record.get("file_name"), record.get("question") or "", record.get("answer")
    if not (isinstance(name, str) and name and isinstance(question, str) and isinstance(answer, str) and answer):
        raise ConfigError(f"{where}: file_name and answer are texts, and question is one or left out")
    file = folder / name
    if not file.exists():
        raise ConfigError(f"{where}: there is no file {file}")
    try:
        medium = check_upload(name, file.read_bytes(), OWN)
        turn = Turn(question, (medium,), answer)
    except (OSError, ValueError) as error:  # ValueError: also an `UploadError`
        raise ConfigError(f"{where}: {error}") from error
    return Item(where, MediaFile(str(file), isinstance(medium, Video)), question, answer), turn
