"""Text by itself: its white space, the marks in it, and whether a block of it is a paragraph at all."""

import re
from collections.abc import Sequence

from data_pipelines.m3w.boilerplate import BoilerplateRules

# Stands where a footnote's or permalink's mark was. No parser of HTML lets this character through.
MARK = "\x00"
_MARKS = re.compile(f"[ {MARK}]*{MARK}[ {MARK}]*")
_CLOSING = ".,;:!?)]"
# All but the last are unprintable to Python, which is faster to ask.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufffd]")
# What does not count as a letter: the rest of ASCII, and all but the first byte of a character in UTF-8.
_NO_LETTERS = bytes(code for code in range(192) if not chr(code).isalnum() or code >= 128)


def clean(text: str) -> str:
    """White space becomes single spaces; marks and invisible characters go.

    A mark takes the white space before it along where closing punctuation follows: "as shown [1]." becomes "as shown.".
    """
    text = " ".join(text.split())
    if not text.isprintable() or "\ufffd" in text:
        text = " ".join(_INVISIBLE.sub("", text).split())
        text = _MARKS.sub(_close, text).strip()
    return text


def _close(marks: re.Match) -> str:
    following = marks.string[marks.end() : marks.end() + 1]
    return " " if " " in marks[0] and following not in _CLOSING else ""


def reason(text: str, kind: str, linked: Sequence[str], rules: BoilerplateRules) -> str | None:
    """Why the text of a block is no paragraph, or None. `linked` are the pieces of it that lie in links."""
    if not text[0].isalpha() and not any(map(str.isalpha, text)):
        return "no_letters"
    if linked and kind not in ("heading", "caption"):
        links = "".join(linked)
        if letters(links if links.isascii() else clean(links)) > rules.max_link_share * letters(text):
            return "link_dense"
    return None


def letters(text: str) -> int:
    """How many letters and digits: what parts links ("|", "-") is no text of its own."""
    return len(text.encode().translate(None, _NO_LETTERS))
