"""A web page on its way through the builder."""

import dataclasses

from data_pipelines.m3w.items import Paragraph, merge_paragraphs
from data_pipelines.pipeline.sketch import Link, Medium, Sketch
from flamingo_jax.data.document import Text

Item = Paragraph | Link | Medium


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """The content of one page in document order. `key` is its path below the input folder, or its address."""

    key: str
    items: tuple[Item, ...]

    @property
    def paragraphs(self) -> tuple[Paragraph, ...]:
        """The runs of text."""
        return tuple(item for item in self.items if isinstance(item, Paragraph))

    @property
    def has_images(self) -> bool:
        """Whether there is an image left, found or not yet looked for."""
        return len(self.paragraphs) < len(self.items)

    def to_sketch(self) -> Sketch:
        """The page as a document, its paragraphs whole again where an image between two runs was dropped."""
        return Sketch(
            self.key,
            tuple(
                Text(item.text) if isinstance(item, Paragraph) else item for item in merge_paragraphs(list(self.items))
            ),
        )
