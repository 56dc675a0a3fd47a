"""Tokens of captions, against those of the official tokenizer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.evaluation.metrics.ptb_tokenizer import tokenize
from tests.evaluation.metrics.goldens import golden

INPUTS, OUTPUTS = golden("cider")


def test_candidates_are_tokenized_as_officially():
    assert tokenize([item["candidate"] for item in INPUTS]) == [item["candidate"] for item in OUTPUTS["tokenized"]]


def test_references_are_tokenized_as_officially():
    found = tokenize([caption for item in INPUTS for caption in item["references"]])
    assert found == [caption for item in OUTPUTS["tokenized"] for caption in item["references"]]


# What the official program printed, punctuation taken out; none of it is in the golden file.
OFFICIAL = [
    ("I'm gonna go, can't cannot wanna gotta lemme dunno", "i 'm gon na go ca n't can not wan na got ta lem me dunno"),
    ("'tis 'twas", "'t is 't was"),
    ("1/2 and 1 1/2 and 3 * 4 ** a/b and/or", "1/2 and 1\u00a01/2 and 3 * 4 ** a/b and/or"),
    ("e.g. a dog etc. and no. 5 No. five fig. 3", "e.g. a dog etc. and no. 5 no five fig. 3"),
    ("a :) b ;-) c <3 ^_^ (^_^)", "a :-rrb- b ;--rrb- c < 3 ^_^ -lrb-^_^-rrb-"),
    ("@bob #tag #1 a@b.com http://x.com/a?b=c. x.org", "@bob #tag # 1 a@b.com http://x.com/a?b=c x.org"),
    ("½ cup ⅔ €5 £5 5¢ ¥ ₹ US$5 50%", "1/2 cup 2/3 $ 5 # 5 5 cents ¥ us$ 5 50 %"),
    ("5'10\" '90s rock 'n' roll y'all O'Malley l'eau", "5 10 '90s rock 'n' roll y' all o'malley l'eau"),
    ("[a] {b} (c) <b>bold</b> &amp; &lt; &nbsp;", "-lsb- a -rsb- -lcb- b -rcb- -lrb- c -rrb- <b> bold </b> & <"),
    ("well-known x-ray's dogs' boss's the 1990's", "well-known x-ray 's dogs boss 's the 1990 's"),
    ("wait... what.... a -- b --- c ----- d \u2013", "wait what a b c ----- d"),
    ("555-1234 (555) 123-4567 1,000 3.14 12:30 50-60", "555-1234 -lrb-555-rrb-\u00a0123-4567 1,000 3.14 12:30 50-60"),
    ("c++ f# node.js image.jpg AT&T R&D", "c++ f# node.js image.jpg at&t r&d"),
    ("Mr. Smith vs. Dr. Jones Ph.D. Inc. U.S. The", "mr. smith vs. dr. jones ph.d. inc. u.s. the"),
    ("hello!!! what?! a==b a+b x~y ^ \\", "hello !!! what ?! a = = b a + b x ~ y ^ \\"),
    ("caf\u00e9 \u4e2d\u6587 \U0001f600 \u00b0C it`s don`t", "caf\u00e9 \u4e2d\u6587 \u00b0 c it s do n`t"),
    ("don\u2019tfoo it\u2019s", "do n\u2019tfoo it 's"),
    ("soft\u00adhyphen al\u00ad.c \u00ad", "softhyphen al\u00ad.c"),
    ("I. In B. b x.html? a-b.py", "i in b. b x.html a-b py"),
]  # fmt: skip


@pytest.mark.parametrize(("caption", "tokens"), OFFICIAL)
def test_tokens(caption, tokens):
    assert tokenize([caption]) == [tokens]


def test_the_next_caption_may_decide():
    assert tokenize(["the no.", "5 dogs"]) == ["the no.", "5 dogs"]
    assert tokenize(["the no.", "dogs"]) == ["the no", "dogs"]


def test_tags_may_reach_into_the_next_caption():
    assert tokenize(["a <b c='x", "y'> d"]) == ["a <b\u00a0c='x", "y'> d"]


def test_no_caption_and_empty_captions():
    assert tokenize([]) == []
    assert tokenize(["", " ", "!", "a"]) == ["", "", "", "a"]


@given(st.lists(st.text(max_size=20), max_size=5))
def test_captions_stay_apart(captions):
    assert len(tokenize(captions)) == len(captions)


@given(st.lists(st.text(alphabet="abcdefghijklm", min_size=2, max_size=8), max_size=8))
def test_plain_words_stay(words):
    assert tokenize([" ".join(words)]) == [" ".join(words)]


@given(st.text(alphabet="ab c.,'-\r\x0b\x0c\u2028\u2029\n", max_size=12))
def test_line_ends_are_spaces(caption):
    spaced = caption.translate(dict.fromkeys(map(ord, "\r\x0b\x0c\u2028\u2029\n"), " "))
    assert tokenize([caption, "x"]) == tokenize([spaced, "x"])
