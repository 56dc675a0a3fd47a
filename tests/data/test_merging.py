"""Rows of several datasets in one batch."""

import numpy as np
import pytest

from flamingo_jax.data.document import Document, Text
from flamingo_jax.data.example import BATCH_KEYS
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.merging import by_dataset
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.text import TextConfig
from tests.data.samples import WordTokenizer, clip, page, pair


@pytest.fixture(scope="module")
def sources(ten_seconds):
    return {
        "m3w": [page(f"p{place}", "3i4i5") for place in range(5)],
        "pairs": [pair(f"k{place}") for place in range(6)] + [Document("no caption", pair("k").items[:1])],
        "clips": [clip("c", ten_seconds)],
        "text": [Document("t", (Text("nothing but words"),))],
    }


def mixture(sources, **changes):
    shape = {"path": "", "image_size": 16}
    datasets = (
        ("m3w", InterleavedConfig(**shape, batch_size=4, length=24)),
        ("pairs", PairsConfig(**shape, batch_size=8, length=26, documents_per_row=2)),
        ("clips", VideoConfig(**shape, batch_size=2, length=16, num_frames=3)),
        ("text", TextConfig(path="", batch_size=2, length=9)),
    )
    return Mixture(MixtureConfig(datasets, seed=3, **changes), WordTokenizer(), sources)


def test_rows_are_those_of_the_datasets_and_padding_is_padding(sources):
    merged, alone = mixture(sources, strategy="merged"), mixture(sources)
    for step in range(3):
        batch = merged.batch(step)
        assert list(batch) == ["merged"]
        batch, parts = batch["merged"], alone.batch(step)
        assert list(batch) == [*BATCH_KEYS, "dataset"]
        assert batch["tokens"].shape == (16, 26) and batch["images"].shape == (16, 5, 3, 16, 16, 3)
        assert batch["dataset"].tolist() == [0, 0, 1, 1, 1, 1, 2, 3] * 2
        for place, name in enumerate(parts):
            rows = batch["dataset"] == place
            for key, expected in parts[name].items():
                held = batch[key][rows]
                assert held.dtype == expected.dtype
                inside = tuple(slice(size) for size in expected.shape)
                if expected.size:
                    assert held[inside].tobytes() == expected.tobytes()
                outside = held.copy()
                outside[inside] = 0
                padding = WordTokenizer.eos_id if key == "tokens" else 0
                blank = np.full_like(held, padding)
                blank[inside] = 0
                assert (outside == blank).all()


def test_hosts_together_make_the_batch_of_one(sources):
    made = mixture(sources, strategy="merged")
    whole = made.batch(2)["merged"]
    halves = [made.batch(2, (host, 2))["merged"] for host in range(2)]
    for key, value in whole.items():
        assert np.concatenate([half[key] for half in halves]).tobytes() == value.tobytes()


def test_rows_are_told_apart(sources):
    made, plain = mixture(sources, strategy="merged"), mixture(sources)
    found = 0
    for step in range(4):
        split = by_dataset(made.batch(step), list(made.datasets), ["skipped", "tokens"])
        expected = {name: batch["skipped"] for name, batch in plain.batch(step).items()}
        assert list(split) == list(expected)
        assert all((split[name]["skipped"] == expected[name]).all() for name in split)
        assert all(len(part["tokens"]) == len(part["skipped"]) for part in split.values())
        alone = by_dataset({"pairs": plain.sub_batch("pairs", step)}, ["m3w", "pairs"], ["skipped"])
        assert alone.keys() == {"pairs"}
        found += int(expected["pairs"].sum())
    assert found


def test_images_of_several_sizes_cannot_be_merged():
    datasets = tuple((f"d{size}", PairsConfig(path="", batch_size=1, image_size=size)) for size in (224, 320))
    with pytest.raises(ValueError, match=r"needs images of one size, but image_size is {'d224': 224, 'd320': 320}"):
        MixtureConfig(datasets, strategy="merged")
    MixtureConfig((datasets[0], ("text", TextConfig(path="", batch_size=1))), strategy="merged")
