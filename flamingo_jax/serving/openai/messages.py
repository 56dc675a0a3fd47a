"""The messages of a chat request: who said what, and where the pictures are."""

import dataclasses
from typing import Any

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.openai.errors import invalid, quoted

_SYSTEM, _USER, _ASSISTANT = ("system", "developer"), "user", "assistant"
_MEDIA = ("image_url", "video_url")


@dataclasses.dataclass(frozen=True)
class MessageLimits:
    """What a request may have.

    Attributes:
      messages: of a request.
      media: pictures and clips of a request.
      characters: of all texts together.
      pixels: of all pictures together, which take as much time and memory to decode.

    Raises:
      ConfigError: a limit is out of range.
    """

    messages: int = 128
    media: int = 33
    characters: int = 50_000
    pixels: int = 64_000_000

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < (field.name != "media"):
                raise ConfigError(f"MessageLimits.{field.name} is out of range: {getattr(self, field.name)}")


@dataclasses.dataclass(frozen=True)
class Reference:
    """Where a picture or clip is.

    Attributes:
      where: in the request, such as "messages[0].content[1]".
      url: as it was sent.
    """

    where: str
    url: str


@dataclasses.dataclass(frozen=True)
class Exchange:
    """What the user sent, and what was answered; None: nothing yet."""

    text: str
    media: tuple[Reference, ...]
    answer: str | None = None


@dataclasses.dataclass(frozen=True)
class Messages:
    """What was said: the system's text, and exchanges, of which the last waits for its answer."""

    system: str
    exchanges: tuple[Exchange, ...]


def read_messages(value: Any, limits: MessageLimits) -> Messages:
    """Checks and sorts the field `messages`.

    Messages of one side that follow one another count as one; so do all of the system, which come first.

    Raises:
      ApiError: it is malformed, too long, or does not end with a message of the user.
    """
    if not isinstance(value, list) or not 0 < len(value) <= limits.messages:
        raise invalid(f"messages is a list of 1 to {limits.messages} messages", "messages")
    system: list[str] = []
    exchanges: list[Exchange] = []
    characters = media = 0
    for place, message in enumerate(value):
        where = f"messages[{place}]"
        role, text, references = _message(message, where)
        characters, media = characters + len(text), media + len(references)
        if characters > limits.characters:
            raise invalid(f"the messages have more than {limits.characters} characters", where)
        if media > limits.media:
            raise invalid(f"the messages have more than {limits.media} pictures and clips", where)
        if references and role != _USER:
            raise invalid(f"{where} has a picture: only the user's messages may", where)
        if role in _SYSTEM:
            if exchanges:
                raise invalid(f"{where} is a {role} message: those come before all others", where)
            system.append(text)
        elif role == _USER:
            _ask(exchanges, text, references)
        elif not exchanges:
            raise invalid(f"{where} is an answer, and nothing was asked before it", where)
        else:
            last = exchanges[-1]
            answer = text if last.answer is None else f"{last.answer}\n{text}"
            exchanges[-1] = dataclasses.replace(last, answer=answer)
    if not exchanges or exchanges[-1].answer is not None:
        raise invalid("the last message is the user's: there is nothing to answer", "messages")
    return Messages("\n".join(system), tuple(exchanges))


def _ask(exchanges: list[Exchange], text: str, media: tuple[Reference, ...]) -> None:
    if exchanges and exchanges[-1].answer is None:
        before = exchanges.pop()
        text, media = "\n".join(filter(None, [before.text, text])), (*before.media, *media)
    exchanges.append(Exchange(text, media))


def _message(message: Any, where: str) -> tuple[str, str, tuple[Reference, ...]]:
    if not isinstance(message, dict):
        raise invalid(f"{where} is {quoted(message)}: it is an object with role and content", where)
    role, content = message.get("role"), message.get("content")
    if role not in (*_SYSTEM, _USER, _ASSISTANT):
        raise invalid(f"{where}.role is {quoted(role)}: it is system, developer, user or assistant", f"{where}.role")
    for name, entry in message.items():
        # What a client repeats of an answer of ours is allowed where it says nothing.
        if name not in ("role", "content", "name") and entry not in (None, [], {}):
            raise invalid(f"{where} has the field {quoted(name)}, which is not supported", where)
    where = f"{where}.content"
    if isinstance(content, str):
        if role == _USER and not content.strip():
            raise invalid(f"{where} is empty", where)
        return role, content, ()
    if not isinstance(content, list) or not content:
        raise invalid(f"{where} is {quoted(content)}: it is a text or a list of parts", where)
    texts, media = [], []
    for place, part in enumerate(content):
        found = _part(part, f"{where}[{place}]")
        (media if isinstance(found, Reference) else texts).append(found)
    text = "\n".join(texts)
    if role == _USER and not text.strip() and not media:
        raise invalid(f"{where} is empty", where)
    return role, text, tuple(media)


def _part(part: Any, where: str) -> str | Reference:
    """The text of a content part, or where its picture is."""
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return part["text"]
    if kind in _MEDIA:
        place = part.get(kind)
        url = place.get("url") if isinstance(place, dict) else None
        if isinstance(url, str):
            return Reference(where, url)
        raise invalid(f"{where}.{kind} is not an object with a text url", where)
    if isinstance(kind, str) and kind != "text":
        raise invalid(f"{where} is of type {quoted(kind)}: it is text, image_url or video_url", where)
    raise invalid(f"{where} is not a part with a type and what it names", where)
