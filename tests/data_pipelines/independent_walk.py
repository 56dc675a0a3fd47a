"""What a page holds, found out in another way than `data_pipelines.m3w.walk`'s: the oracle of its tests.

Another parser (html5lib), another tree (`xml.dom`), and another method, by recursion: the page is flattened into tokens
first, tokens are split into blocks and runs, and text is judged last. Shared is only what is said
about one element by itself: `boilerplate.reason`, `boilerplate.is_mark` and `srcset.candidates`.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from xml.dom.minidom import Document, Element, Node

import html5lib
from html5lib import constants, html5parser

from data_pipelines.m3w import boilerplate, srcset
from data_pipelines.m3w.html import Extraction
from data_pipelines.m3w.items import Paragraph

# Elements that the standard has made "special" since html5lib's last version: an unmatched end tag does not close them.
html5parser.specialElements |= {
    (constants.namespaces["html"], tag) for tag in ("figcaption", "hgroup", "main", "summary")
}

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
# What a browser shows as a block, or as a row or a group of rows of a table.
BLOCK_NAMES = """
html body main article section nav aside header footer search hgroup h1 h2 h3 h4 h5 h6 address
p div center blockquote pre listing xmp plaintext figure figcaption hr details summary dialog
ol ul menu dir li dl dt dd form fieldset legend optgroup option table caption thead tbody tfoot tr
"""
BLOCKS = set(BLOCK_NAMES.split())
CAPTION_CLASSES = {"caption", "wp-caption-text", "thumbcaption"}
CLOSING = set(".,;:!?)]")
INVISIBLE = set("\u00ad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff\ufffd")


class State(NamedTuple):
    """Where a token stands: the kind of text, in a link, in an `article` or `main`, in `main`."""

    kind: str = "text"
    linked: bool = False
    in_content: bool = False
    in_main: bool = False


class Token(NamedTuple):
    """`what` is "words", "space", "mark", "break", "image" or "edge"."""

    what: str
    value: Any
    state: State


def expected(html: str, rules: boilerplate.BoilerplateRules) -> list[tuple]:
    """The page's items in order: ("text", text, kind, number of its block) and ("image", candidates)."""
    page = html5lib.parse(html, treebuilder="dom", namespaceHTMLElements=False)
    page.normalize()  # html5lib makes a text node of its own of the white space before a text
    bodies = [node for node in page.documentElement.childNodes if name(node) == "body"]
    tokens = [token for body in bodies for token in Flattening(page).below(body, State())]
    judged = [item for number, block in enumerate(blocks(tokens)) for item in items(block, number, rules)]
    inside = [item for item, in_main in judged if in_main]
    outside = [item for item, in_main in judged if not in_main]
    main_alone = 0 < characters(inside) >= characters(outside)
    return numbered(inside if main_alone else [item for item, _ in judged])


def observed(extraction: Extraction) -> list[tuple]:
    """An extraction in the form of `expected`."""
    return numbered(
        ("text", item.text, item.kind, item.block) if isinstance(item, Paragraph) else ("image", item.candidates)
        for item in extraction.items
    )


def numbered(found: Iterable[tuple]) -> list[tuple]:
    """The items with their blocks numbered anew, as they come."""
    numbers: dict[int, int] = {}
    return [(*item[:3], numbers.setdefault(item[3], len(numbers))) if len(item) == 4 else item for item in found]


def characters(found: Iterable[tuple]) -> int:
    """How long the items' text is."""
    return sum(len(item[1]) for item in found if item[0] == "text")


def name(node: Node) -> str:
    """An element's name, "" for other nodes."""
    return node.localName or node.tagName if node.nodeType == Node.ELEMENT_NODE else ""


def attributes(element: Element) -> dict[str, str]:
    """An element's attributes."""
    return dict(element.attributes.items())


def above(node: Node) -> Iterator[Node]:
    """The nodes around a node, the innermost first."""
    while (node := node.parentNode) is not None:
        yield node


class Flattening:
    """A page's tree to tokens in document order."""

    def __init__(self, page: Document):
        elements = [e for e in page.getElementsByTagName("*") if "template" not in map(name, above(e))]
        landmarks = [e for e in elements if name(e) == "main" or e.getAttribute("role") == "main"]
        landmarks = landmarks or [e for e in elements if name(e) in ("article", "h1")]
        self._wrappers = {id(holder) for landmark in landmarks for holder in [landmark, *above(landmark)]}

    def below(self, element: Element, state: State) -> Iterator[Token]:
        """The content of an element."""
        late = early_captions(element)
        for child in [child for child in element.childNodes if child not in late] + late:
            if child.nodeType == Node.TEXT_NODE:
                yield Token("words", child.data, state)
            elif name(child):
                yield from self._of(child, state)

    def _of(self, element: Element, state: State) -> Iterator[Token]:
        tag, values = name(element), attributes(element)
        found = boilerplate.reason(tag, values, in_content=state.in_content)
        classes = values.get("class", "").split()
        is_main = tag == "main" or values.get("role") == "main"
        is_block = tag in BLOCKS or is_main
        if found and (found[1] or id(element) not in self._wrappers):
            if found[0] == boilerplate.MARK:
                yield Token("mark", None, state)
            elif is_block:
                yield Token("edge", None, state)
        elif tag == "br":
            yield Token("break", None, state)
        elif tag == "img":
            if candidates := srcset.candidates(values, sources(element)):
                yield Token("image", candidates, state)
        elif tag == "a" and is_mark(element):
            yield Token("mark", None, state)
        else:
            inner = State(
                kind(tag, classes, is_block) or state.kind,
                state.linked or tag == "a",
                state.in_content or is_main or tag == "article",
                state.in_main or is_main,
            )
            between = [Token("edge", None, state)] if is_block else []
            if tag in ("td", "th") or (not is_block and "classifier" in classes):
                yield Token("space", None, state)
            yield from [*between, *self.below(element, inner), *between]


def is_mark(link: Element) -> bool:
    """Whether a link within the page holds one text and nothing else, and this is a mark."""
    texts = [child.data for child in link.childNodes if child.nodeType == Node.TEXT_NODE]
    if not link.getAttribute("href").startswith("#") or not len(texts) == len(link.childNodes) == 1:
        return False
    return boilerplate.is_mark(texts[0], raised=name(link.parentNode) == "sup")


def sources(image: Element) -> list[dict[str, str]]:
    """What a `<picture>` offers for an image: the sources since the last image."""
    if name(image.parentNode) != "picture":
        return []
    siblings = image.parentNode.childNodes
    since = itertools.takewhile(lambda node: name(node) != "img", reversed(siblings[: siblings.index(image)]))
    return [attributes(node) for node in since if name(node) == "source"][::-1]


def early_captions(element: Element) -> list[Element]:
    """The captions of a figure before the first other child that is or holds an image; none where there is no image."""
    if name(element) != "figure":
        return []
    early = []
    for child in filter(name, element.childNodes):
        if name(child) == "figcaption":
            early.append(child)
        elif name(child) == "img" or child.getElementsByTagName("img"):
            return early
    return []


def kind(tag: str, classes: list[str], is_block: bool) -> str:
    """The kind that an element gives the text in it, "" for none."""
    if tag in HEADINGS:
        return "heading"
    if tag in ("figcaption", "caption"):
        return "caption"
    if tag == "li":
        return "list_item"
    return "caption" if is_block and CAPTION_CLASSES.intersection(classes) else ""


def blocks(tokens: Iterable[Token]) -> Iterator[list[Token]]:
    """Splits at the edges of block elements, and between two breaks with only white space between them."""
    block: list[Token] = []
    after_break = False
    for token in tokens:
        if token.what == "edge" or (token.what == "break" and after_break):
            yield block
            block = []
        else:
            block.append(token)
        if token.what == "break":
            after_break = True
        elif token.what in ("edge", "image") or (token.what == "words" and token.value.strip()):
            after_break = False
    yield block


def items(block: list[Token], number: int, rules: boilerplate.BoilerplateRules) -> list[tuple[tuple, bool]]:
    """The runs of text and the images of one block, each with whether it lies in `main`."""
    found: list[tuple[tuple, bool]] = []
    for is_image, tokens in itertools.groupby(block, lambda token: token.what == "image"):
        run = list(tokens)
        if is_image:
            found += [(("image", token.value), token.state.in_main) for token in run]
        elif text := clean(run):
            words = next(token for token in run if token.what == "words" and token.value.strip())
            found.append((("text", text, words.state.kind, number), words.state.in_main))
    texts = [item for item, _ in found if item[0] == "text"]
    linked = "".join(token.value for token in block if token.what == "words" and token.state.linked)
    whole = " ".join(text for _, text, _, _ in texts)
    exempt = bool(texts) and texts[0][2] in ("heading", "caption")
    is_list_of_links = not exempt and letters(linked) > rules.max_link_share * letters(whole)
    if is_list_of_links or not any(character.isalpha() for character in whole):
        return [(item, in_main) for item, in_main in found if item[0] == "image"]
    return found


def letters(text: str) -> int:
    """Letters and digits; every character beyond ASCII counts as one."""
    return sum(c.isalnum() or (c > "\x7f" and not c.isspace()) for c in visible(text))


def clean(run: list[Token]) -> str:
    """One run's text with single spaces, without invisible characters and without marks.

    A mark takes the white space around it along where punctuation or nothing follows, and leaves one space otherwise.
    """
    shown = {"words": lambda token: visible(token.value), "mark": lambda token: "\0"}
    text = "".join(shown.get(token.what, lambda token: " ")(token) for token in run)
    before, *pieces = re.sub(r"\s+", " ", text).split("\0")
    spaced = False
    for piece in pieces:
        spaced = spaced or before.endswith(" ") or piece.startswith(" ")
        if word := piece.lstrip():
            before = before.rstrip() + (" " if spaced and word[0] not in CLOSING else "") + word
            spaced = False
    return before.strip()


def visible(text: str) -> str:
    """Without the characters that are not shown: soft hyphens, directions, controls."""
    return "".join(c for c in text if c.isspace() or not (c in INVISIBLE or c < " " or "\x7f" <= c < "\xa0"))
