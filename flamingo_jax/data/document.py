"""A document: text and media in the order in which a reader meets them. Every corpus becomes a stream of these."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A paragraph, a heading or a caption, without surrounding white space."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    """A still image as the bytes of its file (PNG, JPEG, ...).

    `source` says where it came from (a path below the corpus root, or a URL): reports and evaluation name it.
    """

    encoded: bytes
    source: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Video:
    """A clip as the bytes of its file (MP4, ...); `source` as in `Image`.

    `span` says which seconds of the file are meant, from and to; None: all of it. Datasets do not store it.
    """

    encoded: bytes
    source: str = ""
    span: tuple[float, float] | None = None


Item = Text | Image | Video
_KINDS: dict[str, type] = {"text": Text, "image": Image, "video": Video}


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One web page, one captioned image or one captioned clip.

    `key` is unique in its dataset and stable from build to build: splits and shuffles hash it.
    """

    key: str
    items: tuple[Item, ...]

    @property
    def media(self) -> tuple[Image | Video, ...]:
        """The images and clips, in order."""
        return tuple(item for item in self.items if not isinstance(item, Text))

    @property
    def text(self) -> str:
        """All text, paragraphs apart by blank lines."""
        return "\n\n".join(item.text for item in self.items if isinstance(item, Text))

    def to_record(self) -> dict[str, Any]:
        """The flat form that datasets store: `key`, and one entry per item in `kinds`, `payloads` and `sources`.

        Raises:
          ValueError: a clip has a span, for which records have no place.
        """
        for item in self.items:
            if isinstance(item, Video) and item.span is not None:
                raise ValueError(
                    f"document {self.key!r}: the clip {item.source!r} has a span, which records do not store: "
                    "cut the clip out of its file first"
                )
        names = {cls: name for name, cls in _KINDS.items()}
        return {
            "key": self.key,
            "kinds": [names[type(item)] for item in self.items],
            "payloads": [item.text.encode() if isinstance(item, Text) else item.encoded for item in self.items],
            "sources": ["" if isinstance(item, Text) else item.source for item in self.items],
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Document":
        """The inverse of `to_record`; strings may come back as bytes.

        Raises:
          ValueError: the record is not one of ours: lists of unequal length, an unknown kind, text that is not UTF-8.
        """
        key = _string(record["key"])
        kinds: Sequence = [_string(kind) for kind in record["kinds"]]
        payloads, sources = list(record["payloads"]), [_string(source) for source in record["sources"]]
        if not len(kinds) == len(payloads) == len(sources):
            raise ValueError(f"document {key!r}: {len(kinds)} kinds, {len(payloads)} payloads, {len(sources)} sources")
        items: list[Item] = []
        for kind, payload, source in zip(kinds, payloads, sources, strict=True):
            if kind not in _KINDS:
                raise ValueError(f"document {key!r}: unknown item kind {kind!r}; known: {', '.join(_KINDS)}")
            items.append(Text(_string(payload)) if kind == "text" else _KINDS[kind](bytes(payload), source))
        return cls(key, tuple(items))


def _string(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8")
