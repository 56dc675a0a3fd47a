"""Prompts: tags to tokens, what each token sees, left padding, and what does not fit together."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.tokenizer import Tokenizer, load_tokenizer
from flamingo_jax.inference.prompts import PromptError, prompt_batch, tokenize_prompt
from tests.data.samples import clip_bytes

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
    texts = ["<image>a", "x", "<image>a<EOC><image>bcd"]
    media = [[picture(10)], [], [picture(20), picture(30)]]
    batch = prompt_batch(list(zip(texts, media, strict=True)), tokenizer, PIXELS)
    rows = [tokenize_prompt(text, tokenizer) for text in texts]
    longest = max(len(tokens) for tokens, _ in rows)
    assert batch["tokens"].shape == (3, longest)
    for row, (tokens, index) in enumerate(rows):
        padding = longest - len(tokens)
        np.testing.assert_array_equal(batch["tokens"][row, padding:], tokens)
        np.testing.assert_array_equal(batch["image_index"][row, padding:], index)
        np.testing.assert_array_equal(batch["positions"][row, padding:], np.arange(len(tokens)))
        assert (batch["segment_ids"][row] == np.arange(longest).__ge__(padding)).all()
        assert not batch["image_index"][row, :padding].any()
    np.testing.assert_array_equal(batch["image_first"], batch["image_index"])
    seeing_all = prompt_batch(
        list(zip(texts, media, strict=True)), tokenizer, dataclasses.replace(PIXELS, images_seen="all")
    )
    np.testing.assert_array_equal(seeing_all["image_first"], batch["image_index"] > 0)
    assert batch["images"].shape == (3, 2, 1, 8, 8, 3)
    assert batch["images"][:, :, 0, 0, 0, 0].tolist() == [[10, 0], [0, 0], [20, 30]]
    assert batch["frame_mask"][..., 0].tolist() == [[True, False], [False, False], [True, True]]
    assert all(value.dtype == np.int32 for name, value in batch.items() if name not in ("images", "frame_mask"))


def test_a_still_among_clips_fills_one_frame(tokenizer):
    config = VideoConfig(path="", batch_size=1, image_size=8, num_frames=3)
    film = Video(clip_bytes(seconds=10), "ten seconds")
    batch = prompt_batch([("<image><image>", [picture(9), film])], tokenizer, config)
    assert batch["images"].shape == (1, 2, 3, 8, 8, 3)
    assert batch["frame_mask"].tolist() == [[[True, False, False], [True, True, True]]]
    stills = prompt_batch([("<image>", [picture(9)])], tokenizer, config)
    assert stills["images"].shape == (1, 1, 1, 8, 8, 3)


def test_prompts_have_the_frames_of_inference(tokenizer):
    config = VideoConfig(path="", batch_size=1, image_size=8)
    film = Video(clip_bytes(seconds=10), "ten seconds")
    batch = prompt_batch([("<image>", [film])], tokenizer, config.at_inference)
    assert batch["images"].shape == (1, 1, 30, 8, 8, 3)
    assert batch["frame_mask"].all()  # thirty frames at three a second
    assert (config.num_frames, config.frame_rate) == (8, 1.0)
    with pytest.raises(ValueError, match="inference_frames must be positive"):
        dataclasses.replace(config, inference_frames=0)


def test_prompts_without_any_image_have_one_empty_place(tokenizer):
    batch = prompt_batch([("hello", [])], tokenizer, PIXELS)
    assert batch["images"].shape == (1, 1, 1, 8, 8, 3)
    assert not batch["frame_mask"].any() and not batch["image_index"].any()


@pytest.mark.parametrize(
    ("text", "count", "says"),
    [
        ("<image>", 0, "1 <image> tags and 0 images"),
        ("no tag", 1, "0 <image> tags and 1 images"),
        ("<image><image> x", 1, "2 <image> tags and 1 images"),
    ],
)
def test_tags_and_images_must_be_as_many(tokenizer, text, count, says):
    with pytest.raises(PromptError, match=says) as raised:
        prompt_batch([("<image>", [picture(1)]), (text, [picture(1)] * count)], tokenizer, PIXELS)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("medium", [Image(b"no picture", "odd.png"), Video(b"no clip", "odd.png")])
def test_an_undecodable_file_is_named(tokenizer, medium):
    with pytest.raises(MediaError, match=r"odd\.png"):
        prompt_batch([("<image>", [medium])], tokenizer, PIXELS)
