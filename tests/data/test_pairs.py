import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.errors import MediaError, RecordError
from flamingo_jax.data.images import Augmentation
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from tests.data.samples import clip, pair, picture_bytes


def config(kind=PairsConfig, **changes):
    return kind(**{"path": "", "batch_size": 1, "image_size": 16, **changes})


def test_the_row_reads_as_in_the_paper(smollm2):
    row = config().example(pair("k", "A red box."), smollm2)
    used = int(row.segment_ids.sum())
    text = smollm2.decode(row.tokens[:used], skip_control=False)
    assert text == "<|im_start|><image>A red box.<EOC><|im_end|>"
    assert row.image_index.tolist() == [1] * used + [0] * (32 - used)
    assert row.loss_mask.tolist() == [False] + [True] * (used - 1) + [False] * (32 - used)
    assert row.positions[:used].tolist() == list(range(used))
    assert row.images.shape == (1, 1, 16, 16, 3) and row.frame_mask.tolist() == [[True]]


@given(st.integers(1, 60), st.integers(7, 40))
@settings(deadline=None)
def test_long_captions_keep_their_end(smollm2, words, length):
    document = pair("k", " ".join(["box"] * words))
    row = config(length=length).example(document, smollm2)
    used = int(row.segment_ids.sum())
    caption = smollm2.encode(document.text)
    head = [smollm2.bos_id, *smollm2.image_tag_ids]
    assert used == min(length, len(caption) + 6)
    assert row.tokens[:used].tolist() == [*head, *caption[: used - 6], smollm2.eoc_id, smollm2.eos_id]


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_rate_of_the_prefix_space(smollm2, rate):
    rng, chosen = np.random.default_rng(0), config(prefix_space=rate)
    document = pair("k", "box")
    third = [int(chosen.example(document, smollm2, rng).tokens[4]) for _ in range(1000)]
    assert set(third) <= {smollm2.encode("box")[0], smollm2.encode(" box")[0]}
    spaced = np.mean([token == smollm2.encode(" box")[0] for token in third])
    assert abs(spaced - rate) <= 4 * np.sqrt(rate * (1 - rate) / 1000)


def test_without_generator_no_space_and_no_augmentation(smollm2):
    document = pair("k", "box", picture_bytes((200, 30, 60), (16, 16)))
    row = config(prefix_space=1.0, augment=Augmentation(brightness=1.0)).example(document, smollm2)
    assert row.tokens[4] == smollm2.encode("box")[0]
    assert (row.images == (200, 30, 60)).all()


def test_flips_are_about_half(smollm2):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:, :8] = 255
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    rng, document = np.random.default_rng(0), pair("k", "box", buffer.getvalue())
    rate = np.mean([config().example(document, smollm2, rng).images[0, 0, 0, 0, 0] < 128 for _ in range(600)])
    assert 0.42 < rate < 0.58
    still = config(augment=Augmentation(False, 0.0, 0.0, 0.0))
    assert all((still.example(document, smollm2, rng).images[0, 0] == pixels).all() for _ in range(20))


def test_clips(smollm2, ten_seconds):
    row = config(VideoConfig).example(clip("c", ten_seconds), smollm2)
    assert row.images.shape == (1, 8, 16, 16, 3) and row.frame_mask.all()
    assert (np.diff(row.images[0, :, 8, 8, 0].astype(int)) > 15).all()
    assert config(VideoConfig).weight == 0.03 and config().weight == 0.2


def test_short_clips_repeat_their_last_frame(smollm2, ten_seconds):
    row = config(VideoConfig, frame_rate=0.3).example(clip("c", ten_seconds), smollm2)
    assert row.frame_mask.tolist() == [[True] * 3 + [False] * 5]
    assert (row.images[0, 3:] == row.images[0, 2]).all() and row.images[0, 2].any()


def test_all_frames_of_a_clip_get_the_same_change(smollm2, ten_seconds):
    chosen = config(VideoConfig, frame_rate=100.0, augment=Augmentation(brightness=0.5))
    images = chosen.example(clip("c", ten_seconds), smollm2, np.random.default_rng(3)).images
    plain = chosen.example(clip("c", ten_seconds), smollm2).images
    assert (images[0] == images[0, 0]).all() and (images != plain).any()


def test_openflamingo_targets(words):
    row = config(length=12, loss="chunks").example(pair("k", "a red box"), words)
    assert row.loss_mask.astype(int).tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "items",
    [(Text("only text"),), (Image(b""),), (Image(b""), Image(b""), Text("two")), (Image(b""), Text(""))],
    ids=["no image", "no caption", "two images", "empty caption"],
)
def test_not_a_pair_is_a_record_error(words, items):
    with pytest.raises(RecordError, match="document 'k'"):
        config().example(Document("k", items), words)


def test_undecodable_names_the_document(words):
    with pytest.raises(MediaError, match=r"document 'k': k: 6 bytes that are no image of the formats"):
        config().example(pair("k", encoded=b"\xff\xd8oops"), words)
    with pytest.raises(MediaError, match=r"document 'k': k: a clip of 4 bytes cannot be decoded"):
        config(VideoConfig).example(clip("k", b"oops"), words)


def test_no_room_for_a_caption_is_no_record_error(words):
    with pytest.raises(ValueError, match="leaves no room for a caption") as caught:
        config(length=6).example(pair("k"), words)
    assert not isinstance(caught.value, RecordError)


def test_rate_outside_its_range():
    with pytest.raises(ValueError, match=r"VideoConfig\.prefix_space"):
        config(VideoConfig, prefix_space=2.0)
