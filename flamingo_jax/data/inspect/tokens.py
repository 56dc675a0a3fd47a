"""A row's tokens as markup: coloured by the image that they see, targets underlined, tags and control tokens boxed."""

import itertools
import re
import unicodedata

import numpy as np

from flamingo_jax.data.example import Example
from flamingo_jax.data.inspect.row_facts import tag_starts
from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.html.markup import Html, join, tag

COLOURS = 6  # of images; the seventh has the first's again, and every image has its number
_NAMES = {"\t": "⇥\t", "\n": "\n"}
# They would turn the order of what follows them on the page.
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def segments(example: Example, tokenizer: Tokenizer) -> list[Html]:
    """The markup of each of the row's segments, in order."""
    pieces = _pieces(example, tokenizer)
    tags = {
        place + offset
        for place in tag_starts(example, tokenizer).tolist()
        for offset in range(len(tokenizer.image_tag_ids))
    }
    used = np.flatnonzero(example.segment_ids)
    groups = itertools.groupby(used.tolist(), lambda place: int(example.segment_ids[place]))
    return [_segment(example, list(places), pieces, tags, tokenizer) for _, places in groups]


def padding(example: Example) -> Html:
    """How much of it there is."""
    count = int((example.segment_ids == 0).sum())
    return tag("p", f"padding × {count:,}", class_="pad") if count else Html("")


def colour(image: int) -> str:
    """The class of an image's colour; 0 is no image."""
    return f"c{(image - 1) % COLOURS}" if image else "c"


def shown(piece: str, following: str = "") -> str:
    """A piece of text with everything visible that would not be seen, or would hide or turn what follows.

    Of several line ends in a row, the last alone ends a line on the page, also where `following` goes on with them.
    """
    text = re.sub("\n+", lambda ends: "↵" * len(ends[0]) + "\n", "".join(map(_character, piece)))
    return (text.removesuffix("\n") if following.startswith("\n") else text) or "·"


def _character(character: str) -> str:
    if character in _NAMES:
        return _NAMES[character]
    if ord(character) in _TURNING or unicodedata.category(character) == "Cc":
        return f"⟨U+{ord(character):04X}⟩"
    return character


def _pieces(example: Example, tokenizer: Tokenizer) -> list[str]:
    """Each segment's apart: a document that begins in the middle of a character takes none from the one before."""
    pieces: list[str] = []
    count = int(example.segment_ids.max(initial=0))
    for segment in range(1, count + 1):
        pieces += tokenizer.pieces(example.tokens[example.segment_ids == segment])
    return pieces


def _segment(example: Example, places: list[int], pieces: list[str], tags: set[int], tokenizer: Tokenizer) -> Html:
    def sees(place: int) -> tuple[int, int]:
        return int(example.image_first[place]), int(example.image_index[place])

    texts = {place: shown(pieces[place], pieces[place + 1] if place < places[-1] else "") for place in places}
    runs = []
    for (first, last), run in itertools.groupby(places, sees):
        number = f"{first}–{last}" if first != last else str(last)
        mark = tag("sup", number, class_=f"mark {colour(last)}")
        spans = [_token(example, place, texts[place], place in tags, tokenizer) for place in run]
        runs.append(tag("span", mark, *spans, class_=f"run {colour(last)}"))
    return tag("div", join(runs), class_="tokens", dir="auto")


def _token(example: Example, place: int, text: str, in_tag: bool, tokenizer: Tokenizer) -> Html:
    token = int(example.tokens[place])
    kinds = ["t"]
    if in_tag:
        kinds.append("tag")
    elif token in (tokenizer.bos_id, tokenizer.eos_id, tokenizer.eoc_id):
        kinds.append("control")
    if not example.loss_mask[place]:
        kinds.append("blind")
    return tag("span", text, class_=" ".join(kinds), title=f"token {token}, position {place}")
