import collections

import numpy as np
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import SourceError
from flamingo_jax.data.inspect.media_facts import medium_facts
from flamingo_jax.data.inspect.rows import inspect_rows, open_mixture
from flamingo_jax.data.inspect.table import rows_table
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from tests.data.samples import clip, clip_bytes, noise_bytes, page, pair, picture_bytes

PAIRS = [pair(f"k{place}", f"caption {place}", noise_bytes(place, (20 + place, 30))) for place in range(14)]
PAIRS[5] = pair("broken", "caption", b"no image")
PAGES = [page(f"p{place}", "3i4i55"[: place % 5 + 1], noise_bytes(place)) for place in range(7)]


@pytest.fixture(scope="module")
def mixture(bytes_tokenizer):
    shape = {"path": "", "image_size": 12}
    datasets = (
        ("pages", InterleavedConfig(**shape, batch_size=5, length=40, max_images=2)),
        ("pairs", PairsConfig(**shape, batch_size=6, length=80, documents_per_row=2, packing_group=2)),
        ("clips", VideoConfig(**shape, batch_size=2, length=60, num_frames=4)),
    )
    config = MixtureConfig(datasets=datasets, seed=2, strategy="round_robin", turns={"pages": 2})
    sources = {"pages": PAGES, "pairs": PAIRS, "clips": [clip("c", clip_bytes(2), "two seconds")]}
    return Mixture(config, bytes_tokenizer, sources)


@pytest.fixture(scope="module")
def found(mixture):
    return inspect_rows(mixture, list(mixture.datasets), range(3, 15), 4)


def batches(mixture, name):
    return [mixture.batch(step)[name] for step in range(3, 15) if name in mixture.schedule.datasets(step)]


def test_the_rows_are_those_of_training(mixture, found):
    for name, dataset in found.items():
        assert dataset.steps == [step for step in range(3, 15) if name in mixture.schedule.datasets(step)]
        assert len(dataset.shown) == 4
        for shown in dataset.shown:
            batch = mixture.batch(shown.step)[name]
            for key in shown.row.example.__slots__:
                assert (getattr(shown.row.example, key) == batch[key][shown.number]).all()


def test_figures_are_those_of_the_batches(mixture, found):
    for name, dataset in found.items():
        parts, summary = batches(mixture, name), dataset.statistics.summary()

        def joined(key, parts=parts):
            return np.concatenate([part[key] for part in parts])

        used = joined("segment_ids") > 0
        assert summary["rows"] == len(used)
        assert summary["skipped_records"] == joined("skipped").sum()
        assert (summary["tokens"]["used"], summary["tokens"]["padding"]) == (used.sum(), (~used).sum())
        assert summary["tokens"]["targets"] == joined("loss_mask").sum()
        index = collections.Counter(map(str, joined("image_index")[used].tolist()))
        assert summary["image_index"] == index
        images = joined("frame_mask").any(-1).sum(-1)
        assert summary["images_a_row"] == collections.Counter(map(str, images.tolist()))
        assert summary["rows_without_images_share"] == pytest.approx((images == 0).mean(), abs=1e-4)
        assert summary["batch_bytes_a_row"] * len(used) == sum(joined(key).nbytes for key in parts[0]) - 4 * len(used)
    assert found["pairs"].statistics.summary()["skipped_records"] > 0
    assert found["pages"].statistics.summary()["rows_without_images_share"] > 0


def test_figures_of_what_is_behind_the_rows(found):
    pairs = found["pairs"].statistics.summary()
    assert pairs["documents"] == 2 * pairs["rows"] == pairs["stills"]["count"]
    assert pairs["stills"]["formats"] == {"JPEG": pairs["documents"]} and pairs["stills"]["height"]["max"] == 30
    assert 20 <= pairs["stills"]["width"]["min"] < pairs["stills"]["width"]["max"] < 34
    assert pairs["text_after_image"]["max"] == len(" caption 12")
    clips = found["clips"].statistics.summary()
    assert clips["frames_an_image"] == {"2": clips["rows"]}
    assert clips["clips"]["seconds"]["mean"] == pytest.approx(2, abs=0.1)
    assert found["pages"].statistics.summary()["sees"].keys() <= {"next", "previous", "unknown"}


def test_the_table_has_a_column_for_each_dataset(found):
    lines = rows_table({name: dataset.statistics.summary() for name, dataset in found.items()}).splitlines()
    assert lines[0].split() == ["pages", "pairs", "clips"]
    assert lines[1].split() == ["rows", "30", "18", "6"]  # of twelve steps, six, three and three


@pytest.mark.parametrize(
    ("medium", "wanted"),
    [
        (Image(picture_bytes(size=(30, 20), fmt="PNG")), ("PNG", 30, 20, 0.0)),
        (Image(picture_bytes(size=(30, 20), fmt="JPEG")[:-9]), ("JPEG", 30, 20, 0.0)),
        (Image(b"nothing"), ("", 0, 0, 0.0)),
        (Video(b"nothing"), ("", 0, 0, 0.0)),
        (Video(clip_bytes(3)), ("h264", 48, 32, 3.0)),
    ],
)
def test_facts_of_a_medium(medium, wanted):
    facts = medium_facts(medium)
    assert (facts.format, facts.width, facts.height, facts.seconds) == wanted
    assert facts.size == len(medium.encoded) and facts.known == bool(wanted[0])


def test_only_the_datasets_asked_for_need_be_there(bytes_tokenizer, tmp_path):
    datasets = (("one", PairsConfig(path=str(tmp_path / "one"), batch_size=1)),)
    config = MixtureConfig(datasets=(*datasets, ("two", PairsConfig(path=str(tmp_path / "two"), batch_size=1))))
    with pytest.raises(ConfigError, match=r"--dataset=three: the mixture has no such dataset; it has one, two"):
        open_mixture(config, bytes_tokenizer, ["one", "three"])
    with pytest.raises(SourceError, match=r"two: no such dataset"):
        open_mixture(config, bytes_tokenizer, ["two"])
