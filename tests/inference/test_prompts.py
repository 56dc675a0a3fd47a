"""Prompts: tags to tokens, what each token sees, padding, and what does not fit together."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.tokenizer import Tokenizer, load_tokenizer
from flamingo_jax.inference.prompts import (
    PromptError,
    check_media,
    prompt_batch,
    tokenize_candidate,
    tokenize_prompt,
)

PIXELS = PairsConfig(path="", batch_size=1, image_size=8, length=64)


@pytest.fixture(scope="module")
def tokenizer(tiny_gin) -> Tokenizer:
    """One token a byte."""
    return load_tokenizer(str(tiny_gin.parent / "tokenizer.json"), 258)


def picture(value: int, source: str = "") -> Image:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (8, 8), (value, value, value)).save(buffer, "png")
    return Image(buffer.getvalue(), source)


def test_tags_become_tokens_and_switch_what_is_seen(tokenizer):
    tokens, index = tokenize_prompt("Two <image>a<EOC><image>b", tokenizer)
    tag = list(tokenizer.image_tag_ids)
    assert tokens == [
        tokenizer.bos_id,
        *tokenizer.encode("Two "),
        *tag,
        *tokenizer.encode("a"),
        tokenizer.eoc_id,
        *tag,
        *tokenizer.encode("b"),
    ]
    # From the tag's first token on.
    assert index == [0] * 5 + [1] * (len(tag) + 2) + [2] * (len(tag) + 1)


def test_a_prompt_is_what_the_model_was_trained_on(tokenizer):
    document = Document("k", (picture(5), Text("A red star.")))
    example = PIXELS.example(document, tokenizer)
    tokens, index = tokenize_prompt("<image>A red star.<EOC>", tokenizer)
    np.testing.assert_array_equal(example.tokens[: len(tokens)], tokens)
    # A pair's <BOS> sees the image too (there is nothing before it); a page's does not.
    np.testing.assert_array_equal(example.image_index[1 : len(tokens)], index[1:])
    assert example.tokens[len(tokens)] == tokenizer.eos_id


def test_text_without_tags_and_no_text(tokenizer):
    assert tokenize_prompt("", tokenizer) == ([tokenizer.bos_id], [0])
    tokens, index = tokenize_prompt("<Image> <eoc> < image>", tokenizer)
    assert tokens == [tokenizer.bos_id, *tokenizer.encode("<Image> <eoc> < image>")]
    assert not any(index)


def test_all_prompts_end_in_the_last_position(tokenizer):
    rows = [tokenize_prompt(text, tokenizer) for text in ("<image>a", "x", "<image>a<EOC><image>bcd")]
    longest = max(len(row.tokens) for row in rows)
    batch = prompt_batch(rows, tokenizer, PIXELS)
    assert batch["tokens"].shape == (3, longest)
    for row, (tokens, index) in enumerate(rows):
        padding = longest - len(tokens)
        np.testing.assert_array_equal(batch["tokens"][row, padding:], tokens)
        np.testing.assert_array_equal(batch["image_index"][row, padding:], index)
        np.testing.assert_array_equal(batch["positions"][row, padding:], np.arange(len(tokens)))
        assert (batch["segment_ids"][row] == np.arange(longest).__ge__(padding)).all()
        assert not batch["image_index"][row, :padding].any()
    np.testing.assert_array_equal(batch["image_first"], batch["image_index"])
    assert all(value.dtype == np.int32 for value in batch.values())
    longer = prompt_batch(rows, tokenizer, PIXELS, longest + 5)
    for name, value in longer.items():
        np.testing.assert_array_equal(value[:, 5:], batch[name])
        assert (value[:, :5] == (tokenizer.eos_id if name == "tokens" else 0)).all()


def test_tokens_may_see_all_images_so_far(tokenizer):
    rows = [tokenize_prompt("x<image>a<EOC><image>bcd", tokenizer)]
    batch = prompt_batch(rows, tokenizer, dataclasses.replace(PIXELS, images_seen="all"))
    assert batch["image_index"].max() == 2
    np.testing.assert_array_equal(batch["image_first"], batch["image_index"] > 0)


@pytest.mark.parametrize(
    ("text", "count", "says"),
    [
        ("<image>", 0, "1 <image> tags and 0 images"),
        ("no tag", 1, "0 <image> tags and 1 images"),
        ("<image><image> x", 1, "2 <image> tags and 1 images"),
    ],
)
def test_tags_and_images_must_be_as_many(text, count, says):
    check_media("<image>", [picture(1)])
    with pytest.raises(PromptError, match=says) as raised:
        check_media(text, [picture(1)] * count)
    assert repr(text) in str(raised.value)


def test_candidates_are_text_with_or_without_their_end(tokenizer):
    assert tokenize_candidate(" cat", tokenizer, True) == [*tokenizer.encode(" cat"), tokenizer.eoc_id]
    assert tokenize_candidate(" cat", tokenizer, False) == tokenizer.encode(" cat")
    assert tokenize_candidate("", tokenizer, True) == [tokenizer.eoc_id]
    for text, says in (("", "empty"), (" cat<EOC>", "has a tag"), ("<image> cat", "has a tag")):
        with pytest.raises(PromptError, match=says):
            tokenize_candidate(text, tokenizer, False)
