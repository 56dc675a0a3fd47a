"""Streams, windows and image indices, against a slow implementation that walks the tokens one by one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.sequence import in_chunk, media_in_window, next_image, previous_image, tokenize
from tests.data.samples import WordTokenizer, page

LAYOUTS = st.lists(st.sampled_from(["i", "i", "1", "2", "5"]), min_size=1, max_size=14).map("".join)


@dataclasses.dataclass
class Walked:
    """One token of the reference: what kind it is, which of the page's images it belongs to or follows."""

    kind: str  # bos, word, tag0, tag1, tag2, eoc, eos
    previous: int  # images whose tag began at or before this token, in the whole page
    image: int = -1  # for tag tokens: which


def walk(layout):
    tokens = [Walked("bos", 0)]
    images = 0
    for item in layout:
        if item == "i":
            if len(tokens) > 1:
                tokens.append(Walked("eoc", images))
            images += 1
            tokens.extend(Walked(f"tag{part}", images, images - 1) for part in range(3))
        else:
            tokens.extend(Walked("word", images) for _ in range(int(item)))
    return [*tokens, Walked("eoc", images), Walked("eos", images)]


def slow_previous(tokens, start, length, limit):
    out = []
    for place in range(start, min(start + length, len(tokens))):
        begun = [t.image for t in tokens[start : place + 1] if t.kind == "tag0"]
        out.append(len(begun) if len(begun) <= limit else 0)
    return out


def slow_next(tokens, start, length, limit):
    kept = [t.image for t in tokens[start : start + length] if t.kind == "tag0"]
    out = []
    for place in range(start, min(start + length, len(tokens))):
        to_come = [t.image for t in tokens[place:] if t.kind == "tag2" and t.image in kept]
        number = kept.index(to_come[0]) + 1 if to_come else 0
        out.append(number if number <= limit else 0)
    return out


def slow_in_chunk(tokens):
    out, inside = [], False
    for token in tokens:
        if token.kind.startswith("tag"):
            inside = True
            out.append(False)
        else:
            out.append(inside)
            if token.kind == "eoc":
                inside = False
    return out


@given(LAYOUTS)
def test_stream_is_that_of_the_walk(layout):
    words = WordTokenizer()
    stream = tokenize(page("p", layout), words, " ")
    tokens = walk(layout)
    kinds = {0: "bos", 1: "eos", 2: "tag0", 3: "tag1", 4: "tag2", words.eoc_id: "eoc"}
    assert [kinds.get(token, "word") for token in stream.tokens.tolist()] == [token.kind for token in tokens]
    assert stream.tag_starts.tolist() == [place for place, token in enumerate(tokens) if token.kind == "tag0"]
    assert stream.chunk_ends.tolist() == [place for place, token in enumerate(tokens) if token.kind == "eoc"]
    assert len(stream.media) == layout.count("i")


@given(LAYOUTS, st.integers(0, 40), st.integers(1, 40), st.integers(1, 5))
def test_indices_are_those_of_the_walk(layout, start, length, limit):
    stream, tokens = tokenize(page("p", layout), WordTokenizer(), " "), walk(layout)
    start %= len(tokens)
    assert previous_image(stream, start, length, limit).tolist() == slow_previous(tokens, start, length, limit)
    assert next_image(stream, start, length, limit).tolist() == slow_next(tokens, start, length, limit)
    assert in_chunk(stream).tolist() == slow_in_chunk(tokens)
    kept = [token.image for token in tokens[start : start + length] if token.kind == "tag0"]
    assert list(media_in_window(stream, start, length)) == kept


def test_worked_figure_of_the_paper(words):
    """Specification 1.6: "<BOS>Cute pics of my pets!<EOC><image>My puppy sitting in the grass.<EOC><image> My cat
    looking very dignified.<EOC>" has eight zeros, eleven ones and ten twos."""
    texts = ("Cute pics of my pets!", "My puppy sitting in the grass.", " My cat looking very dignified.")
    items = (Text(texts[0]), Image(b"puppy"), Text(texts[1]), Image(b"cat"), Text(texts[2]))
    stream = tokenize(Document("pets", items), words, "\n\n")
    index = previous_image(stream, 0, 256, 5).tolist()
    assert stream.tokens[-1] == words.eos_id  # which the figure leaves out
    assert index[:-1] == [0] * 8 + [1] * 11 + [2] * 10


def test_images_side_by_side_are_chunks_of_their_own(words):
    stream = tokenize(page("p", "ii2"), words, " ")
    assert stream.tokens.tolist()[:8] == [0, 2, 3, 4, words.eoc_id, 2, 3, 4]


def test_a_tag_cut_at_the_start_is_not_in_the_window(words):
    stream = tokenize(page("p", "i2i2"), words, " ")  # <BOS> tag tag tag w w <EOC> tag tag tag w w <EOC> <EOS>
    assert previous_image(stream, 2, 20, 5).tolist() == [0] * 5 + [1] * 7
    assert next_image(stream, 2, 20, 5).tolist() == [1] * 8 + [0] * 4
    assert list(media_in_window(stream, 2, 20)) == [1]


def test_a_tag_cut_at_the_end_is_in_the_window(words):
    stream = tokenize(page("p", "i2i2"), words, " ")
    assert previous_image(stream, 0, 8, 5).tolist() == [0, 1, 1, 1, 1, 1, 1, 2]
    assert next_image(stream, 0, 8, 5).tolist() == [1, 1, 1, 1, 2, 2, 2, 2]


def test_tokens_of_a_dropped_image_see_nothing(words):
    stream = tokenize(page("p", "i1i1i1"), words, " ")
    previous, following = (place(stream, 0, 99, 2) for place in (previous_image, next_image))
    assert previous.tolist() == [0] + [1] * 5 + [2] * 5 + [0] * 6
    assert following.tolist() == [1] * 4 + [2] * 5 + [0] * 8


def test_paragraphs_are_joined_by_the_separator(smollm2):
    document = Document("p", (Text("One."), Text("Two."), Image(b""), Text("Three.")))
    tokens = tokenize(document, smollm2, "\n\n").tokens.tolist()
    assert smollm2.decode(tokens, skip_control=False) == "<|im_start|>One.\n\nTwo.<EOC><image>Three.<EOC><|im_end|>"


@pytest.mark.parametrize("text", ["write <image> here", '"<image>"', "<image>"])
def test_only_real_images_have_the_tag(smollm2, text):
    document = Document("p", (Text(text), Image(b""), Text('"quoted" <image>')))
    tokens = tokenize(document, smollm2, "\n\n").tokens
    tag = list(smollm2.image_tag_ids)
    found = [place for place in range(len(tokens)) if tokens[place : place + 3].tolist() == tag]
    assert found == tokenize(document, smollm2, "\n\n").tag_starts.tolist()
    assert np.count_nonzero(tokens == smollm2.eoc_id) == 2
