"""A document before its media are read: what goes from stage to stage of a build.

Media are named, never carried: a build of terabytes moves text and references between machines, and each image is read
once when it is judged and once when its document is written.
"""

import dataclasses

from flamingo_jax.data.document import Text

FILE, SPAN, WARC, JSON_BASE64 = "file", "span", "warc", "json_base64"


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Reference:
    """Where the bytes of an image or a clip are, for any worker to read (`data_pipelines.pipeline.references.read`).

    Attributes:
      path: a file; may be `gs://`.
      form: "file", the whole file; "span", `length` bytes from `offset` (a member of an uncompressed tar); "warc", the
        payload of the record that begins at `offset` of a WARC file, compressed by record or not at all;
        "json_base64", the base64 string under `place` in the JSON object that fills `length` bytes from `offset`.
      offset, length: bytes; -1 where the form has none.
      place: keys and indices parted by "/", such as "image_info/3/image_base64".
    """

    path: str
    form: str = FILE
    offset: int = -1
    length: int = -1
    place: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """An image or a clip that is known by address alone.

    Attributes:
      kind: "image" or "video".
      urls: absolute addresses of the same thing, the most likely first.
      rule: why it was not found where it was looked for; "" before that.
    """

    kind: str
    urls: tuple[str, ...]
    rule: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Medium:
    """An image or a clip whose bytes are at hand.

    Attributes:
      kind: "image" or "video".
      source: what the document will say about where it came from.
      reference: where the bytes are.
      size: bytes; known once they were read.
      name: what the picture is counted by in a corpus; likewise.
      hits: how many evaluation images it may be a copy of; likewise.
    """

    kind: str
    source: str
    reference: Reference
    size: int = 0
    name: str = ""
    hits: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Sketch:
    """A document whose media are links or references. `key` is as in `Document`."""

    key: str
    items: tuple[Text | Link | Medium, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """Something that a rule dropped: an entry of the build's report.

    Attributes:
      rule: the rule's name, such as "image_too_small".
      unit: "page", "paragraph", "image", "pair", "clip" or "document".
      example: what it was, for a reader: a key, an address, the beginning of a text.
      reference: where its picture is, if the report can show one.
      count: how many things this stands for.
    """

    rule: str
    unit: str
    example: str = ""
    reference: Reference | None = None
    count: int = 1
