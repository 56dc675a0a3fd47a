"""Media as visual tokens: what is encoded how often, in which shapes, and what is forgotten."""

import io

import numpy as np
import pytest
from PIL import Image as PillowImage

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.media import load_media
from flamingo_jax.data.pairs import VideoConfig
from flamingo_jax.inference.media import MediaEncoder, VisualTokens, load_on_threads, media_block
from flamingo_jax.inference.prompts import PromptError
from tests import tiny
from tests.data.samples import clip_bytes

PIXELS = VideoConfig(path="", batch_size=1, image_size=8, num_frames=8).at_inference


def picture(value: int, source: str = "") -> Image:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (8, 8), (value, value, value)).save(buffer, "png")
    return Image(buffer.getvalue(), source)


class Encode:
    """Says of a picture how bright its first frame is, and how many frames there are."""

    def __init__(self):
        self.shapes = []

    def __call__(self, images, mask):
        self.shapes.append(images.shape)
        told = np.stack([images[:, 0, 0, 0, 0, 0], mask.sum(axis=(1, 2))], axis=1)
        return told[:, None].astype(np.float32)


def test_each_is_encoded_once_and_stands_where_it_stood():
    encode = Encode()
    encoder = MediaEncoder(encode, PIXELS)
    known = VisualTokens(np.full((1, 2), 7, np.float32))
    values = [10, 20, 10, 30]
    found = encoder([picture(values[0], "a"), picture(values[1]), known, picture(values[2], "b"), picture(values[3])])
    assert [medium.tokens[0, 0] for medium in found] == [10, 20, 7, 10, 30]
    assert found[2] is known
    assert encode.shapes == [(4, 1, 1, 8, 8, 3)]  # three, filled up to four
    again = encoder([picture(30), picture(40)])
    assert [medium.tokens[0, 0] for medium in again] == [30, 40]
    assert encode.shapes[1:] == [(1, 1, 1, 8, 8, 3)]
    assert encoder([]) == []


def test_clips_have_the_frames_of_inference_and_stills_one():
    encode = Encode()
    encoder = MediaEncoder(encode, PIXELS)
    data = clip_bytes(seconds=10)
    found = encoder([Video(data), picture(9), Video(data, span=(0.0, 4.0)), Video(data, "elsewhere")])
    assert sorted(encode.shapes) == [(1, 1, 1, 8, 8, 3), (2, 1, 30, 8, 8, 3)]  # the last is the first
    assert [medium.tokens[0, 1] for medium in found] == [30, 1, 12, 30]  # thirty frames at three a second


@pytest.mark.parametrize(("parts", "shapes"), [(1, [64, 8]), (3, [63, 12]), (8, [64, 8]), (100, [100])])
def test_many_go_in_batches_that_the_devices_can_share(parts, shapes):
    encode = Encode()
    found = MediaEncoder(encode, PIXELS, parts)([picture(value) for value in range(70)])
    assert [medium.tokens[0, 0] for medium in found] == [*range(70)]
    assert [shape[0] for shape in encode.shapes] == shapes


def test_what_was_not_used_for_longest_is_forgotten_first():
    encode = Encode()
    encoder = MediaEncoder(encode, PIXELS, capacity=3 * 8)  # bytes of three
    encoder([picture(1), picture(2), picture(3)])
    encoder([picture(1), picture(4)])
    encoder([picture(1), picture(3)])
    assert len(encode.shapes) == 2
    found = encoder([picture(2), picture(1)])
    assert len(encode.shapes) == 3 and [medium.tokens[0, 0] for medium in found] == [2, 1]
    small = MediaEncoder(encode, PIXELS, capacity=1)
    assert small([picture(5)])[0].tokens[0, 0] == small([picture(5)])[0].tokens[0, 0] == 5
    assert len(encode.shapes) == 5


@pytest.mark.parametrize("medium", [Image(b"no picture", "odd.png"), Video(b"no clip", "odd.png")])
def test_an_undecodable_file_is_named(medium):
    with pytest.raises(MediaError, match=r"odd\.png"):
        MediaEncoder(Encode(), PIXELS)([picture(1), medium])


def test_rows_of_media_are_filled_with_nothing():
    latents, width = tiny.CONFIG.resampler.num_latents, tiny.LANGUAGE.width
    one, two = (VisualTokens(np.full((latents, width), value, np.float32)) for value in (1, 2))
    block = media_block([[one], [], [two, one]], 3, tiny.CONFIG)
    assert block.shape == (3, 3 * latents, width)
    assert block[:, ::latents, 0].tolist() == [[1, 0, 0], [0, 0, 0], [2, 1, 0]]
    assert media_block([[], []], 0, tiny.CONFIG).shape == (2, 0, width)
    with pytest.raises(PromptError, match="encode the media with the model that is asked"):
        media_block([[VisualTokens(np.zeros((latents, width + 1)))]], 1, tiny.CONFIG)


@pytest.mark.parametrize("capacity", [5, 8])
def test_threads_decode_what_one_does(capacity):
    media = [picture(10), Video(clip_bytes(seconds=2), "clip"), *map(picture, (20, 30, 40))]
    found, alone = load_on_threads(media, capacity, PIXELS), load_media(media, capacity, PIXELS, None)
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one, other)
