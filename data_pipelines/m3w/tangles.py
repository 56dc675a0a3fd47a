"""Whether a page's tags would take a parser time or memory out of all proportion to their number.

Parsing as the HTML standard prescribes it is not linear: a tag is compared with all that is open, and what is never
closed begins anew in every paragraph. With lexbor 2, 70 kB of `<font ...>` without end become a tree of 8 million nodes
(3 GB), and `<ul><li>` nested 40,000 times takes 20 s. The estimate here reads the tags as they stand; it is linear.
"""

import re

from data_pipelines.m3w.tags import BLOCKS

# Short pages, and longer ones of few tags, have not enough of anything: at worst 1.1 million nodes, 0.4 GB.
_SHORT, _LONG, _FEW_TAGS = 20_000, 200_000, 3_000
# Where less is open at a time for so many tags, and there are fewer of these, no tags need to be read one by one.
_OPEN_TIMES_TAGS, _MANY_TAGS, _MANY_OPTIONS, _MANY_VALUES = 1_000_000, 100_000, 5_000, 20_000
_PIECES = 64
# Comparisons of 4 to 12 ns. No page of the manuals of scikit-learn, scikit-image and GIMP needs 1 million.
_MAX_WORK = 100_000_000
_NODE = 100  # comparisons' worth of making one
_TAG = re.compile(r"<(\\?/)?([a-zA-Z][^\s/>]{0,30})([^>]*)")  # in scripts an end tag is often written <\/p>
_QUOTED = re.compile(r""""[^"]*"|'[^']*'""")
_ATTRIBUTE_MARKS = " \t\r\n\f/="
_MANY_CHARACTERS = 10_000  # of attributes; in less there cannot be too many

_FORMATTING = frozenset(["b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"])
_CELLS = frozenset(("td", "th", "caption"))  # what is not closed in them ends with them
_UNENDED_NAMES = """
a area base body br button col colgroup dd dt embed hr html img input li link meta nobr optgroup option p param rp rt
source tbody tfoot thead tr track wbr
"""
_UNENDED = _CELLS.union(_UNENDED_NAMES.split())  # they need no end, or end where the next one begins: they do not nest


def is_tangled(html: str) -> bool:
    """Whether parsing would be out of proportion."""
    return _is_suspect(html) and work(html) > _MAX_WORK


def _is_suspect(html: str) -> bool:
    """Whether the tags have to be read one by one: by counts alone, which are many times as fast."""
    if len(html) < _SHORT:
        return False
    tags = html.count("<")
    if tags < _FEW_TAGS and len(html) < _LONG:
        return False
    if tags > _MANY_TAGS or html.count("<option") > _MANY_OPTIONS or html.count("=") > max(_MANY_VALUES, 10 * tags):
        return True
    opened = most = 0
    size = len(html) // _PIECES + 1
    for start in range(0, len(html), size):
        piece = html[start : start + size]
        opened += piece.count("<") - 2 * piece.count("</")
        most = max(most, opened)
    return most * tags > _OPEN_TIMES_TAGS


def work(html: str) -> int:
    """An estimate of the comparisons that parsing takes because of what else the page has: 0 for flat, sound pages."""
    total = depth = tables = options = merged = unclosed = 0
    formats: set[str] = set()  # of equal ones no more than three begin anew
    names: set[str] = set()
    for match in _TAG.finditer(html):
        end, name, attributes = match[1], match[2].lower(), match[3]
        if end:
            if name in _FORMATTING:
                unclosed -= unclosed > 0
            elif name not in _UNENDED:
                depth -= depth > 0
                tables -= name == "table" and tables > 0
            continue
        if name in _FORMATTING:
            unclosed += 1
            formats.add(match[0])
            continue
        if name in _CELLS and tables:
            unclosed = 0
            formats.clear()
        elif name in BLOCKS:  # they look for what they end among all that is open
            total += depth + _NODE * min(unclosed, 3 * len(formats))
        if name not in _UNENDED and (name in BLOCKS or not attributes.endswith("/")):  # as `path` in `svg` may
            depth += 1
        if name not in names:
            names.add(name)
            total += len(names)
        if len(attributes) > _MANY_CHARACTERS:
            bare = _QUOTED.sub(" ", attributes)
            total += sum(map(bare.count, _ATTRIBUTE_MARKS)) ** 2 // 2
        if name == "table":
            tables += 1
        elif name == "select":
            options = 0
        elif name == "option":
            options += 1
            total += options
        elif name in ("html", "body"):  # a second one's attributes are the first one's
            merged += attributes.count("=")
            total += merged
    return total
