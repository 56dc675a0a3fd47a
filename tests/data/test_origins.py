"""Where the rows of a batch come from."""

import numpy as np
import pytest

from flamingo_jax.data.document import Document
from flamingo_jax.data.images import Augmentation
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from tests.data.samples import WordTokenizer, clip, encode_clip, page, pair, picture_bytes

UNCHANGED = {"image_size": 8, "augment": Augmentation(flip=False, brightness=0.0, contrast=0.0, saturation=0.0)}


def mixture(config, documents):
    return Mixture(MixtureConfig(datasets=(("it", config),), seed=5), WordTokenizer(), {"it": documents})


def coloured_page(name, count):
    """Images in colours of their own, (10 * name, 10 * place, 99), each after some words."""
    items = []
    for place in range(count):
        items += page(f"{name}", f"{place % 4 + 2}i", picture_bytes((10 * name, 10 * place, 99), (8, 8))).items
    return Document(f"page {name}", tuple(items))


@pytest.mark.parametrize("window", ["anywhere", "image"])
@pytest.mark.parametrize("p_next", [0.0, 1.0])
def test_the_media_of_a_page_are_those_in_the_row(window, p_next):
    config = InterleavedConfig(
        path="", batch_size=4, length=24, max_images=3, window=window, p_next=p_next, **UNCHANGED
    )
    made = mixture(config, [coloured_page(name, name) for name in range(1, 13)])
    seen = set()
    for step in range(12):
        for record, row in zip(made.records("it", step), made.rows("it", step), strict=True):
            (filled,) = row.filled
            origin = made.origin("it", filled)
            assert (origin.record, origin.document.key) == (record, f"page {record + 1}")
            held = row.example.images[row.example.frame_mask.any(-1)][:, 0, 0, 0].tolist()
            colours = {
                item.encoded: [10 * (record + 1), 10 * place, 99] for place, item in enumerate(origin.document.media)
            }
            assert held == [colours[medium.encoded] for medium in origin.media]
            seen.add(len(held))
    assert len(seen) > 2


def test_what_replaced_a_record_is_the_origin():
    documents = [pair(f"k{place}", f"caption {place}") for place in range(9)]
    documents[3] = documents[7] = pair("broken", "caption", b"no image")
    made = mixture(PairsConfig(path="", batch_size=9, length=12, **UNCHANGED), documents)
    batch, rows, words = made.sub_batch("it", 2), made.rows("it", 2), WordTokenizer()
    assert batch["skipped"].tolist() == [row.skipped for row in rows] and sum(batch["skipped"]) > 1
    for place, row in enumerate(rows):
        origin = made.origin("it", row.filled[0])
        assert words.encode(origin.document.text)[1] in batch["tokens"][place]
        assert (row.example.tokens == batch["tokens"][place]).all()


def test_the_documents_of_a_packed_row_come_in_the_order_of_its_segments():
    documents = [pair(f"k{place}", f"caption {place}", picture_bytes((place * 9, 0, 0))) for place in range(20)]
    documents[4] = documents[11] = pair("broken", "caption", b"no image")
    config = PairsConfig(path="", batch_size=4, length=44, documents_per_row=4, packing_group=2, **UNCHANGED)
    made, words = mixture(config, documents), WordTokenizer()
    for row in [row for step in range(5) for row in made.rows("it", step)]:
        example, origins = row.example, [made.origin("it", filled) for filled in row.filled]
        assert len(origins) == 4
        for segment, origin in enumerate(origins, 1):
            assert words.encode(origin.document.text)[1] in example.tokens[example.segment_ids == segment]
            assert example.images[segment - 1, 0, 4, 4, 0] == 9 * int(origin.document.key[1:])
            assert origin.media == origin.document.media


def test_the_origin_of_a_clip():
    clips = [clip(f"c{place}", encode_clip([np.full((16, 16, 3), 40 * place, np.uint8)] * 5, 5)) for place in range(5)]
    made = mixture(VideoConfig(path="", batch_size=5, length=12, num_frames=2, **UNCHANGED), clips)
    for row in made.rows("it", 0):
        (medium,) = made.origin("it", row.filled[0]).media
        assert abs(int(row.example.images[0, 0, 4, 4, 0]) - 40 * int(medium.source[1:])) < 6
