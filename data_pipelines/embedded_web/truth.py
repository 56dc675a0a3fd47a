"""The ground truth of a generated web, collected while it is written."""

import dataclasses
import json
from typing import Any

from flamingo_jax.data.scenes.words import MOVEMENTS, VOCABULARIES, Attributes


@dataclasses.dataclass
class Truth:
    """What `truth.json` will hold.

    Attributes:
      images: "<dataset>/<source>" to caption and attributes, with dataset m3w, pairs or clips and source as in the
        documents; clips also have their movement.
      pages: path below the site root to the expected document ("items"), its "noise_images", the "encoding" of its
        bytes, its "declared_encoding", and why no document should come of it ("drop", empty for the pages to keep).
      noise_images: "<dataset>/<path or URL>" to the reason why no document should keep it.
    """

    images: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    pages: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    noise_images: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, dataset: str, source: str, caption: str, attributes: Attributes, **more: str) -> None:
        """Records what the picture or clip `source` of a dataset shows."""
        self.images[f"{dataset}/{source}"] = {"caption": caption, "attributes": attributes.to_dict(), **more}

    def to_json(self) -> str:
        """The file's content."""
        vocabularies = {name: list(words) for name, words in VOCABULARIES.items()}
        document = {"attributes": vocabularies, "movements": list(MOVEMENTS), **dataclasses.asdict(self)}
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
