"""Held-out cases: a picture or clip of a document that was not trained on, and the sentence that describes it."""

import dataclasses
import json
from collections.abc import Iterable, Mapping

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Document, Image, Text, Video


@dataclasses.dataclass(frozen=True)
class Case:
    """One picture or clip in its document.

    Attributes:
      document: from the picture on, as in `<image>caption ...`; what stands before it is left out.
      caption: the describing sentence, with which the text after the picture begins.
      attributes: what the sentence names, such as {"colour": "red"}; empty where no ground truth is known.
    """

    document: Document
    caption: str
    attributes: Mapping[str, str]

    @property
    def medium(self) -> Image | Video:
        """The picture or clip."""
        return self.document.media[0]

    def with_medium(self, medium: Image | Video) -> Document:
        """The document with another picture in this one's place."""
        return Document(self.document.key, (medium, *self.document.items[1:]))


@dataclasses.dataclass(frozen=True)
class Truth:
    """Ground truth of a generated corpus.

    Attributes:
      words: attribute -> the words it may have.
      images: source of a picture (or key of a clip) -> its caption and attributes.
    """

    words: Mapping[str, tuple[str, ...]]
    images: Mapping[str, Mapping]

    @classmethod
    def load(cls, path: str, dataset: str) -> "Truth":
        """Reads the part of one dataset from a `truth.json`; a ConfigError says what is wrong with the file."""
        file = epath.Path(path)
        try:
            content = json.loads(file.read_text())
            prefix = f"{dataset}/"
            images = {
                key.removeprefix(prefix): entry for key, entry in content["images"].items() if key.startswith(prefix)
            }
            return cls({name: tuple(words) for name, words in content["attributes"].items()}, images)
        except (OSError, json.JSONDecodeError, KeyError, AttributeError, TypeError) as error:
            raise ConfigError(f"{path} is no ground truth of an embedded web: {error}") from error


def find_cases(documents: Iterable[Document], truth: Truth | None, most: int) -> list[Case]:
    """The first `most` pictures that have a caption, in the order of the documents.

    With ground truth the caption is the true sentence (a picture without one is left out); otherwise it is the first
    paragraph after the picture.
    """
    cases = []
    for document in documents:
        for place, item in enumerate(document.items):
            if isinstance(item, Text):
                continue
            rest = document.items[place + 1 :]
            if not rest or not isinstance(rest[0], Text):
                continue
            caption, attributes = rest[0].text, {}
            if truth is not None:
                entry = truth.images.get(item.source)
                if entry is None or not caption.startswith(entry["caption"]):
                    continue
                caption, attributes = entry["caption"], entry["attributes"]
            cases.append(Case(Document(document.key, (item, *rest)), caption, attributes))
            if len(cases) == most:
                return cases
    return cases


def attributes_in(text: str, words: Mapping[str, tuple[str, ...]]) -> dict[str, str | None]:
    """For each attribute the first of its words that `text` says, or None."""
    said = ["".join(letter for letter in word if letter.isalpha()) for word in text.lower().split()]
    return {name: next((word for word in said if word in known), None) for name, known in words.items()}
