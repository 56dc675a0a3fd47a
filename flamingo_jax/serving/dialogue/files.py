"""Conversations as files: one JSON object with everything that is needed to ask again."""

import base64
import binascii
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.images import MAX_PIXELS_LIMIT
from flamingo_jax.html.files import write_whole
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from flamingo_jax.serving.uploads import Limits, UploadError, check_upload, picture_pixels

FORMAT, VERSION = "flamingo_jax conversation", 1
LARGEST = 96 * 2**20
"""Bytes of a file; about 70 MB of media, which take a third more as text."""
MOST_PIXELS = 1_000_000_000
"""Pixels of all pictures of a file together: seconds of decoding."""
_KINDS = {"image": Image, "video": Video}
OWN = Limits(bytes=LARGEST, pixels=MAX_PIXELS_LIMIT)
"""Of each medium of a file that was saved here, whatever limits it was sent under."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """How one turn was asked.

    Attributes:
      settings: at that time.
      window: tokens of the model's window.
      images: of the window.
      examples: that stood before the conversation.
      dropped: how many turns the model did not see any more.
      finish: how the answer ended: "stop", "length", or "stopped" by the user.
      abstained: whether the answer stands in the place of one that the model was not sure of.
    """

    settings: Settings
    window: int
    images: int
    examples: tuple[Turn, ...] = ()
    dropped: int = 0
    finish: str = "stop"
    abstained: bool = False


@dataclasses.dataclass(frozen=True)
class Saved:
    """A conversation, all of it answered, and how each turn was asked.

    Raises:
      ValueError: they do not fit together.
    """

    conversation: Conversation
    asked: tuple[Asked, ...]

    def __post_init__(self):
        for place, each in enumerate(self.asked):
            if each.dropped > place:
                raise ValueError(f"turn {place + 1} was asked without {each.dropped} turns before it, and has {place}")
        if self.conversation.waits or len(self.asked) != len(self.conversation.turns):
            raise ValueError(
                f"{len(self.conversation.turns)} turns and {len(self.asked)} records of how they were asked, or no "
                "answer to the last"
            )

    @property
    def examples(self) -> tuple[Turn, ...]:
        """All that were shown, each once."""
        return tuple(dict.fromkeys(turn for each in self.asked for turn in each.examples))


def to_json(saved: Saved) -> str:
    """The text of a file."""
    examples = saved.examples
    places = {turn: place for place, turn in enumerate(examples)}
    asked = []
    for each in saved.asked:
        fields = {field.name: getattr(each, field.name) for field in dataclasses.fields(each)}
        fields |= {"settings": dataclasses.asdict(each.settings), "examples": [places[turn] for turn in each.examples]}
        asked.append(fields)
    turns = [_turn(turn) | {"asked": how} for turn, how in zip(saved.conversation.turns, asked, strict=True)]
    return json.dumps(
        {"format": FORMAT, "version": VERSION, "turns": turns, "examples": list(map(_turn, examples))}, indent=1
    )


def save(path: epath.Path, saved: Saved) -> None:
    """Writes a file, whole or not at all.

    Raises:
      ConfigError: it would be larger than what is read again.
      OSError: it cannot be written.
    """
    turns = saved.conversation.turns + saved.examples
    pixels = sum(picture_pixels(medium.encoded) for turn in turns for medium in turn.media)
    if pixels > MOST_PIXELS:
        raise ConfigError(
            f"the pictures of the conversation and its examples have {pixels:,} pixels together, more than the "
            f"{MOST_PIXELS:,} that are read again: show smaller examples, or begin a new conversation sooner"
        )
    content = to_json(saved).encode()
    if len(content) > LARGEST:
        raise ConfigError(
            f"the conversation and its examples take {len(content):,} bytes as a file, more than the {LARGEST:,} that "
            "are read again: show smaller examples, or begin a new conversation sooner"
        )
    write_whole(path, content)


def load(path: epath.Path, limits: Limits = OWN) -> Saved:
    """Reads a file.

    Args:
      limits: of each medium that the user sent; examples may be as large as `OWN` says.

    Raises:
      ConfigError: it is no such file, damaged, of another version or larger than `LARGEST` bytes.
      OSError: it cannot be read.
    """
    size = path.stat().length
    if size > LARGEST:
        raise ConfigError(f"{path.name} has {size:,} bytes: a conversation of more than {LARGEST:,} is not read")
    return from_json(path.read_bytes(), path.name, limits)


def from_json(content: bytes, name: str, limits: Limits = OWN) -> Saved:
    """The inverse of `to_json`; `name` is for messages.

    Raises:
      ConfigError: as `load`.
    """
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no saved conversation: it is not JSON ({error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ConfigError(f"{name} is no saved conversation: it does not say that its format is {FORMAT!r}")
    if record.get("version") != VERSION:
        raise ConfigError(f"{name} is of version {record.get('version')!r}, and this program reads {VERSION}")
    try:
        budget = _PixelBudget(MOST_PIXELS)
        examples = [_read_turn(each, budget, OWN) for each in record["examples"]]
        turns = tuple(_read_turn(each, budget, limits) for each in record["turns"])
        asked = tuple(_read_asked(each["asked"], examples) for each in record["turns"])
        return Saved(Conversation(turns), asked)
    except UploadError as error:
        raise ConfigError(f"{name}: {error}") from error
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(f"{name} is damaged: {type(error).__name__}: {str(error)[:200]}") from error


def _turn(turn: Turn) -> dict[str, Any]:
    return {"text": turn.text, "media": [_medium(medium) for medium in turn.media], "answer": turn.answer}


def _medium(medium: Image | Video) -> dict[str, Any]:
    kind = next(name for name, cls in _KINDS.items() if isinstance(medium, cls))
    span = {"span": list(medium.span)} if isinstance(medium, Video) and medium.span else {}
    return {"kind": kind, "source": medium.source, **span, "data": base64.b64encode(medium.encoded).decode()}


class _PixelBudget:
    """Whoever made a file may have put any number of pictures there."""

    def __init__(self, most: int):
        self._most = self._left = most

    def take(self, encoded: bytes) -> None:
        self._left -= picture_pixels(encoded)
        if self._left < 0:
            raise UploadError(f"its pictures have more than {self._most:,} pixels together, which are not decoded")


def _read_turn(record: Mapping[str, Any], budget: _PixelBudget, limits: Limits) -> Turn:
    media = tuple(_read_medium(each, budget, limits) for each in record["media"])
    return Turn(_text(record["text"]), media, _text(record["answer"]))


def _read_medium(record: Mapping[str, Any], budget: _PixelBudget, limits: Limits) -> Image | Video:
    try:
        encoded = base64.b64decode(_text(record["data"]), validate=True)
    except binascii.Error as error:
        raise ValueError(f"data of a medium is no base64: {error}") from error
    budget.take(encoded)
    medium = check_upload(_text(record["source"]), encoded, limits)
    if not isinstance(medium, _KINDS[record["kind"]]):
        raise ValueError(f"{medium.source} is called {record['kind']!r}, and is none")
    if isinstance(medium, Video) and record.get("span"):
        start, end = map(float, record["span"])
        return dataclasses.replace(medium, span=(start, end))
    return medium


def _read_asked(record: Mapping[str, Any], examples: list[Turn]) -> Asked:
    settings = Settings(**record["settings"])
    shown = tuple(examples[_count(place)] for place in record["examples"])
    window, images, dropped = (_count(record[name]) for name in ("window", "images", "dropped"))
    if type(record["abstained"]) is not bool:
        raise ValueError("abstained is true or false")
    return Asked(settings, window, images, shown, dropped, _text(record["finish"]), record["abstained"])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {value!r:.60}")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError(f"a whole number, 0 or more, was expected, not {value!r:.60}")
    return value
