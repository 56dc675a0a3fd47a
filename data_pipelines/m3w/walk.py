"""The walk over a page's tree that gathers its text, block by block, and its images where they stand."""

import collections
import re

from selectolax.lexbor import LexborNode

from data_pipelines.m3w import boilerplate, srcset
from data_pipelines.m3w.items import ImageReference, Paragraph

_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_KIND_OF_TAG = {
    **dict.fromkeys(_HEADINGS, "heading"),
    **dict.fromkeys(("figcaption", "caption"), "caption"),
    **dict.fromkeys(("li", "dt", "dd"), "list_item"),
}
_BLOCK_NAMES = """
address article aside blockquote body caption center dd details dir div dl dt fieldset figcaption figure footer form
header hgroup hr html legend li main ol optgroup option p section summary table tbody tfoot thead tr ul
"""
_BLOCKS = _HEADINGS.union(_BLOCK_NAMES.split())
_CONTENT = frozenset(("main", "article"))
_PAGE_WRAPPER = "main, article, h1"
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufffd]")
_NO_LETTERS = re.compile(r"\W+")
_EXAMPLE_CHARACTERS = 120


class Walk:
    """The state of one walk: the run of text that is being gathered and where it stands."""

    def __init__(self, rules: boilerplate.BoilerplateRules):
        self.items: list[Paragraph | ImageReference] = []
        self.dropped: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self._rules = rules
        self._parts: list[str] = []
        self._link_characters = 0
        self._links = 0  # how many `a` elements are open
        self._contents = 0  # how many `main` and `article` elements are open
        self._kinds = ["text"]
        self._block = 0
        self._after_break = False

    def run(self, body: LexborNode) -> None:
        """Visits `body` and everything below it that is content."""
        stack = [("body", iter(_children(body, "body")))]
        while stack:
            tag, children = stack[-1]
            node = next(children, None)
            if node is None:
                stack.pop()
                self._leave(tag)
            elif node.is_text_node:
                self._text(node.text_content or "")
            elif (name := node.tag) and self._enter(name, node):
                stack.append((name, iter(_children(node, name))))

    def _enter(self, tag: str, node: LexborNode) -> bool:
        """Takes note of an element; whether to go below it."""
        if not node.is_element_node:
            return False
        if tag == "br":
            self._break()
            return False
        attributes = node.attributes
        if found := boilerplate.reason(tag, attributes, in_content=self._contents > 0):
            rule, sure = found
            if sure or node.css_first(_PAGE_WRAPPER) is None:
                self._drop(rule, tag, node)
                return False
        if tag == "img":
            self._image(node, attributes)
            return False
        if tag in _BLOCKS:
            self._flush()
            if tag in _KIND_OF_TAG or _is_caption(attributes):
                self._kinds.append(_KIND_OF_TAG.get(tag, "caption"))
            else:
                self._kinds.append(self._kinds[-1])
        elif tag in ("td", "th"):
            self._parts.append(" ")
        elif tag == "a":
            self._links += 1
        if tag in _CONTENT:
            self._contents += 1
        return True

    def _leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
            if len(self._kinds) > 1:
                self._kinds.pop()
        elif tag == "a":
            self._links -= 1
        if tag in _CONTENT:
            self._contents -= 1

    def _text(self, text: str) -> None:
        self._parts.append(text)
        if not text.isspace():
            self._after_break = False
            if self._links:
                self._link_characters += _letters(text)

    def _break(self) -> None:
        """Two `<br>` in a row part paragraphs; one is white space."""
        if self._after_break:
            self._flush()
        self._parts.append(" ")
        self._after_break = True

    def _image(self, node: LexborNode, attributes: dict) -> None:
        parent = node.parent
        sources = []
        if parent is not None and parent.tag == "picture":
            sources = [source.attributes for source in parent.css("source")]
        if candidates := srcset.candidates(attributes, sources):
            self._cut()
            self.items.append(ImageReference(candidates))

    def _drop(self, rule: str, tag: str, node: LexborNode) -> None:
        if tag in _BLOCKS or rule == "code":
            self._flush()
        if rule == boilerplate.MARKUP:
            if tag in ("a", "sup") and self._parts:  # a footnote's mark: "as shown [1]." becomes "as shown."
                self._parts[-1] = self._parts[-1].rstrip()
            return
        if text := " ".join(node.text(deep=True, separator=" ").split()):
            self._count(rule, text)

    def _cut(self) -> None:
        """Ends the run of text, not the block."""
        if not self._parts:
            return
        text = "".join(self._parts)
        links, self._link_characters = self._link_characters, 0
        self._parts.clear()
        text = " ".join(_INVISIBLE.sub("", text).split())
        if not text:
            return
        kind = self._kinds[-1]
        rule = None
        if not any(map(str.isalpha, text)):
            rule = "no_letters"
        elif (
            kind not in ("heading", "caption")
            and links
            and boilerplate.is_link_dense(_letters(text), links, self._rules)
        ):
            rule = "link_dense"
        if rule is None:
            self.items.append(Paragraph(text, self._block, kind))
        else:
            self._count(rule, text)

    def _count(self, rule: str, text: str) -> None:
        self.dropped[rule] += 1
        self.examples.setdefault(rule, text[:_EXAMPLE_CHARACTERS])

    def _flush(self) -> None:
        """Ends the block."""
        self._cut()
        self._block += 1
        self._after_break = False


def _letters(text: str) -> int:
    """How many letters and digits: what parts links ("|", "·") is no text of its own."""
    return len(_NO_LETTERS.sub("", text))


def _is_caption(attributes: dict) -> bool:
    names = (attributes.get("class") or "").split() if attributes else ()
    return "caption" in names or "wp-caption-text" in names or "thumbcaption" in names


def _children(node: LexborNode, tag: str) -> list[LexborNode]:
    """The children in document order; a caption that stands before its figure's image is moved behind it."""
    children = list(node.iter(include_text=True))
    if tag != "figure":
        return children
    seen = False
    early = []
    for child in children:
        if child.tag == "figcaption" and not seen:
            early.append(child)
        elif child.is_element_node:
            seen = seen or child.tag == "img" or child.css_first("img") is not None
    if not early or not seen:
        return children
    ids = {child.mem_id for child in early}
    return [child for child in children if child.mem_id not in ids] + early
