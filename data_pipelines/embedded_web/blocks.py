"""What a page is made of. The page's HTML and the document expected from it are both derived from the same blocks."""

import dataclasses

from flamingo_jax.data.scenes.scene import Scene


@dataclasses.dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 (the page's) or 2."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `link` is a phrase of it that leads elsewhere, or empty."""

    text: str
    link: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """An image file of the site: `path` below the site root and what it shows."""

    path: str
    scene: Scene
    caption: str


@dataclasses.dataclass(frozen=True, slots=True)
class Figure:
    """A picture and the text that follows it, which begins with its description.

    `layout` is "figure" (text in a figcaption), "inline" (image and text in one paragraph) or "apart" (image, then a
    paragraph).
    """

    picture: Picture
    text: str
    layout: str


@dataclasses.dataclass(frozen=True, slots=True)
class NoiseImage:
    """An image that no document should keep, and the reason. `path` is below the site root, or a URL."""

    path: str
    reason: str
    width: int
    height: int


Block = Heading | Paragraph | Figure | NoiseImage


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """One page before it is written as HTML.

    `path` is below the site root. `encoding` is that of the bytes, `declared` that of the meta tag. `drop` says why no
    document should come of it, or is empty. `truncated` holds the picture whose file is cut short, if the page has one.
    """

    path: str
    design: str
    blocks: tuple[Block, ...]
    encoding: str = "utf-8"
    declared: str = "utf-8"
    drop: str = ""
    truncated: Picture | None = None

    @property
    def title(self) -> str:
        """The text of the first heading; empty for an empty page."""
        return next((block.text for block in self.blocks if isinstance(block, Heading)), "")

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The content pictures, in order."""
        return tuple(block.picture for block in self.blocks if isinstance(block, Figure))

    def items(self) -> list[dict[str, str]]:
        """The document to make of it, in reading order: `{"text": ...}` and `{"image": path below the site root}`."""
        items = []
        for block in self.blocks:
            match block:
                case Heading(text=text) | Paragraph(text=text):
                    items.append({"text": text})
                case Figure(picture=picture, text=text):
                    items += [{"image": picture.path}, {"text": text}]
        return items
