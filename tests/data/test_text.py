"""Rows of text alone."""

import numpy as np
import pytest

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.images import Augmentation
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.text import TextConfig


def config(**changes):
    return TextConfig(**{"path": "", "batch_size": 2, "length": 12, **changes})


def document(words, key="k"):
    return Document(key, (Text(" ".join(f"{key}x{word}" for word in range(words))),))


def test_the_row_reads_from_end_to_end(smollm2):
    page = Document("k", (Text("Two lines."), Text("An <image> is text here.")))
    row = config(length=40).example(page, smollm2)
    used = int(row.segment_ids.sum())
    text = smollm2.decode(row.tokens[:used], skip_control=False)
    assert text == "<|im_start|>Two lines.\n\nAn < image> is text here.<|im_end|>"
    assert smollm2.eoc_id not in row.tokens
    assert not row.image_index.any() and not row.image_first.any()
    assert row.loss_mask.tolist() == [False] + [True] * (used - 1) + [False] * (40 - used)
    assert row.images.shape == (0, 1, 1, 1, 3) and row.frame_mask.shape == (0, 1)


def test_windows_of_long_documents_begin_anywhere(words):
    page, rng = document(20), np.random.default_rng(0)
    tokens = [words.bos_id, *words.encode(page.text), words.eos_id]
    starts = []
    for _ in range(600):
        row = config().example(page, words, rng)
        assert row.segment_ids.all() and row.positions.tolist() == list(range(12))
        starts.append(next(start for start in range(11) if row.tokens.tolist() == tokens[start : start + 12]))
    assert min(np.bincount(starts, minlength=11)) > 600 / 11 / 2
    assert config().example(page, words).tokens.tolist() == tokens[:12]


def test_batches_have_no_images(words):
    source = [document(place + 1, f"d{place}") for place in range(9)]
    batch = Mixture(MixtureConfig((("text", config()),)), words, {"text": source}).batch(3)["text"]
    assert batch["images"].shape == (2, 0, 1, 1, 1, 3) and batch["frame_mask"].shape == (2, 0, 1)
    assert batch["images"].dtype == np.uint8 and batch["frame_mask"].dtype == bool


def test_packed_documents_are_segments(words):
    source = [document(1 + place % 5, f"d{place}") for place in range(12)]
    packed = config(documents_per_row=3, packing_group=2)
    mixture = Mixture(MixtureConfig((("text", packed),)), words, {"text": source})
    for step in range(4):
        batch, asked = mixture.batch(step)["text"], np.reshape(mixture.records("text", step), (2, 3))
        for row in range(2):
            for segment in range(3):
                held = batch["segment_ids"][row] == segment + 1
                tokens = [words.bos_id, *words.encode(source[asked[row, segment]].text), words.eos_id]
                window = batch["tokens"][row][held].tolist()
                assert any(window == tokens[start : start + len(window)] for start in range(len(tokens)))
                assert batch["positions"][row][held].tolist() == list(range(len(window)))
                assert batch["loss_mask"][row][held].tolist() == [False] + [True] * (len(window) - 1)


@pytest.mark.parametrize("items", [(), (Text(""),), (Text("a"), Image(b""))], ids=["nothing", "empty", "an image"])
def test_not_a_text_is_a_record_error(words, items):
    with pytest.raises(RecordError, match="document 'k'"):
        config().example(Document("k", items), words)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "chunks"}, r"TextConfig\.loss must be 'all'"),
        ({"image_size": 224}, r"TextConfig\.image_size does nothing"),
        ({"images_seen": "all"}, r"TextConfig\.images_seen does nothing"),
        ({"augment": Augmentation(flip=False)}, r"TextConfig\.augment does nothing"),
    ],
)
def test_wrong_options_are_errors(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_defaults_are_those_of_the_paper():
    """Section 6 of the ablations: MassiveText with weight 1 and 2,048 tokens a row."""
    defaults = TextConfig(path="", batch_size=1)
    assert (defaults.weight, defaults.length, defaults.images_per_row) == (1.0, 2048, 0)
