"""The walk over a page's tree that gathers its text, block by block, and its images where they stand.

The order is that of the tree. A paragraph ends where a block element begins or ends and at two `<br>` in a row; an
image parts it into two runs of one block. Elements that `boilerplate.reason` names are passed by with all below them.
"""

import collections
from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipelines.m3w import boilerplate, paragraphs, srcset, tags, tree
from data_pipelines.m3w.items import ImageReference, Paragraph

_EXAMPLE_CHARACTERS = 120


class Walk:
    """The state of one walk: the run of text that is being gathered and where it stands.

    Attributes:
      items: the paragraphs and images so far.
      mains: which of the items lie in `main`, as [start, end).
      dropped, examples: how many blocks of text each rule has dropped, and the beginning of the first one.
    """

    def __init__(self, page: LexborHTMLParser, rules: boilerplate.BoilerplateRules):
        self.items: list[Paragraph | ImageReference] = []
        self.mains: list[tuple[int, int]] = []
        self.dropped: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self._page = page
        self._rules = rules
        self._wrappers: set[int] | None = None
        self._parts: list[str] = []
        self._linked: list[str] = []  # those of the parts that lie in links
        self._kinds = ["text"]
        self._links = self._contents = 0  # how many such elements are open
        self._main_starts: list[int] = []
        self._block = self._block_start = 0  # its number, and where its items begin
        self._begun = self._after_break = False  # whether the block has anything yet, and a `<br>` last

    def run(self) -> None:
        """Visits the body and everything below it that is content, without recursion."""
        body = self._page.body
        node = body.first_child if body is not None else None
        opened: list[tuple[int, LexborNode | None]] = []  # what is to be undone, and what follows
        while node is not None or opened:
            if node is None:
                undone, node = opened.pop()
                if undone:
                    self._leave(undone)
                continue
            number = node.tag_id
            if number == tags.TEXT_NUMBER:
                self._text(node.text_content or "")
                node = node.next
                continue
            tag = tags.KNOWN.get(number) or tags.of(node)
            if attributes := node.attributes:
                tag = tags.with_attributes(tag, attributes)
            if not tag.does or self._enter(tag, node, attributes):
                opened.append((tag.undone, node.next))
                node = node.first_child
            else:
                node = node.next
        self._flush()

    def _enter(self, tag: tags.Tag, node: LexborNode, attributes: Mapping[str, str | None]) -> bool:
        """Takes note of an element. Returns whether to go below it."""
        does = tag.does
        if does == tags.BLOCK:
            self._flush()
            return True
        if does & tags.SUSPECT:
            found = boilerplate.reason(tag.name, attributes, in_content=self._contents > 0)
            if found and (found[1] or not self._is_wrapper(node)):
                self._drop(found[0], does, node)
                return False
        if does & tags.IMAGE:
            self._image(node, attributes)
            return False
        if does & tags.BREAK:
            self._break()
            return False
        if does & tags.LINK:
            if attributes and tree.is_mark(node, attributes):
                self._drop(boilerplate.MARK, does, node)
                return False
            self._links += 1
        if does & tags.BLOCK:
            self._flush()
        if does & tags.SPACE and self._parts:
            self._parts.append(" ")
        if does & tags.KIND:
            self._kinds.append(tag.kind)
        if does & tags.CONTENT:
            self._contents += 1
        if does & tags.MAIN:
            self._main_starts.append(len(self.items))
        return True

    def _leave(self, undone: int) -> None:
        if undone & tags.BLOCK:
            self._flush()
        if undone & tags.KIND:
            self._kinds.pop()
        if undone & tags.LINK:
            self._links -= 1
        if undone & tags.CONTENT:
            self._contents -= 1
        if undone & tags.MAIN:
            start = self._main_starts.pop()
            if not self._main_starts:
                self.mains.append((start, len(self.items)))

    def _text(self, text: str) -> None:
        if not text or text.isspace():
            if self._parts:  # before the first word it means nothing
                self._parts.append(" ")
            return
        self._parts.append(text)
        self._begun = True
        self._after_break = False
        if self._links:
            self._linked.append(text)

    def _break(self) -> None:
        """Two `<br>` in a row part paragraphs; one is white space."""
        if self._after_break:
            self._flush()
        elif self._parts:
            self._parts.append(" ")
        self._begun = self._after_break = True

    def _image(self, node: LexborNode, attributes: Mapping[str, str | None]) -> None:
        if candidates := srcset.candidates(attributes, tree.sources(node)):
            if self._parts:
                self._cut()
            self.items.append(ImageReference(candidates))
            self._begun = True
            self._after_break = False

    def _is_wrapper(self, node: LexborNode) -> bool:
        if self._wrappers is None:
            self._wrappers = tree.wrappers(self._page)
        return node.mem_id in self._wrappers

    def _drop(self, rule: str, does: int, node: LexborNode) -> None:
        if rule == boilerplate.MARK:
            if self._parts:
                self._parts.append(paragraphs.MARK)
            return
        if does & tags.BLOCK:
            self._flush()
        if rule == boilerplate.MARKUP:
            return
        if tree.holds_text(node):
            self.count(rule, "" if rule in self.examples else " ".join(node.text(separator=" ").split()))

    def _cut(self) -> None:
        """Ends the run of text, not the block."""
        text = paragraphs.clean("".join(self._parts))
        self._parts.clear()
        if text:
            self.items.append(Paragraph(text, self._block, self._kinds[-1]))

    def _flush(self) -> None:
        """Ends the block, if it has begun."""
        if not self._begun:
            return
        if self._parts:
            self._cut()
        if len(self.items) > self._block_start:
            self._judge()
            self._block_start = len(self.items)
        self._linked.clear()
        self._block += 1
        self._begun = self._after_break = False

    def _judge(self) -> None:
        """Drops the text of a block, not its images, where it is none."""
        block = self.items[self._block_start :]
        texts = [item.text for item in block if isinstance(item, Paragraph)]
        if not texts:
            return
        if rule := paragraphs.reason(" ".join(texts), self._kinds[-1], self._linked, self._rules):
            self.count(rule, texts[0])
            self.items[self._block_start :] = [item for item in block if isinstance(item, ImageReference)]

    def count(self, rule: str, text: str) -> None:
        """Takes note of a block of text that a rule drops."""
        self.dropped[rule] += 1
        self.examples.setdefault(rule, text[:_EXAMPLE_CHARACTERS])
