"""What an element is to the walk, by its name and its attributes, before its place in the page is looked at."""

import dataclasses
import functools
from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipelines.m3w import boilerplate

# What an element changes where it begins, to be changed back where it ends: it parts paragraphs, its text is of another
# kind, it is a link, it is content, it is the main part of the page.
BLOCK, KIND, LINK, CONTENT, MAIN = 1, 2, 4, 8, 16
# What else there is to do: it may have to be passed by; it is an image; it ends a line; white space stands before it.
# The last are the cells of a row, and a docutils classifier, which a style sheet parts from its term by " : ".
SUSPECT, IMAGE, BREAK, SPACE = 32, 64, 128, 256
_TO_UNDO = BLOCK | KIND | LINK | CONTENT | MAIN

_BLOCK_NAMES = """
address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer
form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol optgroup option p plaintext pre search
section summary table tbody tfoot thead tr ul xmp
"""
BLOCKS = frozenset(_BLOCK_NAMES.split())
_KINDS = {
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
    **dict.fromkeys(("figcaption", "caption"), "caption"),
    "li": "list_item",
}
_DOINGS = {"a": LINK, "main": CONTENT | MAIN, "article": CONTENT, "img": IMAGE, "br": BREAK, "td": SPACE, "th": SPACE}
_CAPTIONS = frozenset(("caption", "wp-caption-text", "thumbcaption"))
_CLASS_CHARACTERS = 1_000  # of a class that are read
_KNOWN_NUMBERS = 256  # lexbor numbers the tags that it knows; a greater number is the address of another name
TEXT_NUMBER = LexborHTMLParser("<p>text").css_first("p").first_child.tag_id


@dataclasses.dataclass(frozen=True, slots=True)
class Tag:
    """What follows from an element's name and attributes.

    `does` and `undone` are flags of this module, `undone` those for the element's end. `kind` is the kind of the text
    in it, where `does` has KIND. `telling` are the attributes, besides the class, that may say more than the name.
    """

    name: str
    does: int
    undone: int
    kind: str
    telling: frozenset[str]


KNOWN: dict[int, Tag] = {}  # by lexbor's numbers, filled as they are met


def of(node: LexborNode) -> Tag:
    """What the name says, for numbers that `KNOWN` does not have yet."""
    tag = _tag(node.tag or "", {})
    if node.tag_id < _KNOWN_NUMBERS:
        KNOWN[node.tag_id] = tag
    return tag


def with_attributes(tag: Tag, attributes: Mapping[str, str | None]) -> Tag:
    """What the name and the attributes say."""
    if not tag.telling.isdisjoint(attributes) and (
        attributes.get("role") == "main" or boilerplate.reason_by_attributes(tag.name, attributes)
    ):
        return _tag(tag.name, attributes)
    classes = attributes.get("class")
    return _of_class(tag.name, classes[:_CLASS_CHARACTERS]) if classes else tag


@functools.lru_cache(maxsize=4096)  # a page has few different classes, and many elements of each
def _of_class(name: str, classes: str) -> Tag:
    return _tag(name, {"class": classes})


def _tag(name: str, attributes: Mapping[str, str | None]) -> Tag:
    does = _DOINGS.get(name, 0)
    if name in BLOCKS:
        does |= BLOCK
    if attributes.get("role") == "main":
        does |= BLOCK | CONTENT | MAIN
    classes = (attributes.get("class") or "")[:_CLASS_CHARACTERS].split()
    kind = _KINDS.get(name, "")
    if does & BLOCK and not kind and not _CAPTIONS.isdisjoint(classes):
        kind = "caption"
    if kind:
        does |= KIND
    if not does & BLOCK and "classifier" in classes:
        does |= SPACE
    if boilerplate.is_suspect(name) or boilerplate.reason_by_attributes(name, attributes):
        does |= SUSPECT
    return Tag(name, does, does & _TO_UNDO, kind, boilerplate.telling_attributes(name))
