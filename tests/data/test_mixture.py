import collections
import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import RecordError, SkipRateError, SourceError
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig, resolve_rows
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.skips import SkipMonitor
from tests.data.samples import WordTokenizer, clip, clip_bytes, noise_bytes, page, pair, picture_bytes

PAIRS = [pair(f"k{place}", f"caption {place}", picture_bytes((place * 9, 0, 0))) for place in range(23)]


def pairs_mixture(documents=PAIRS, batch_size=4, **changes):
    dataset = PairsConfig(path="", batch_size=batch_size, length=12, image_size=8)
    return Mixture(MixtureConfig(datasets=(("pairs", dataset),), **changes), WordTokenizer(), {"pairs": documents})


@pytest.fixture(scope="module")
def three():
    """Pages, pairs and clips, some of each undecodable."""
    clips = [clip("good", clip_bytes(3)), clip("short", clip_bytes(3)[:700])]
    pages = [page(f"p{place}", "3i4i5" * (place % 4 + 1), noise_bytes(place)) for place in range(7)]
    pages.append(page("broken", "2i", noise_bytes(0)[:500]))
    pairs = [pair(f"k{place}", encoded=noise_bytes(place)) for place in range(20)]
    pairs += [Document("no caption", pairs[0].items[:1]), pair("truncated", encoded=noise_bytes(1)[:400])]
    return three_datasets(pages, pairs, clips)


def three_datasets(pages, pairs, clips, **changes):
    shape = {"path": "", "image_size": 16}
    datasets = (
        ("m3w", InterleavedConfig(**shape, batch_size=4, length=24)),
        ("pairs", PairsConfig(**shape, batch_size=8, length=16)),
        ("clips", VideoConfig(**shape, batch_size=2, length=16, num_frames=3)),
    )
    config = MixtureConfig(datasets=datasets, seed=3, **changes)
    return Mixture(config, WordTokenizer(), {"m3w": pages, "pairs": pairs, "clips": clips})


def same(one, other):
    return one.keys() == other.keys() and all(
        one[name].keys() == other[name].keys()
        and all(one[name][key].dtype == other[name][key].dtype for key in one[name])
        and all(one[name][key].tobytes() == other[name][key].tobytes() for key in one[name])
        for name in one
    )


def test_contract_of_the_batch(three):
    batch = three.batch(0)
    shapes = {"m3w": (4, 24, 5, 1), "pairs": (8, 16, 1, 1), "clips": (2, 16, 1, 3)}
    assert list(batch) == list(shapes) and three.weights == {"m3w": 1.0, "pairs": 0.2, "clips": 0.03}
    for name, (rows, length, images, frames) in shapes.items():
        wanted = dict.fromkeys(
            ("tokens", "segment_ids", "positions", "image_index", "image_first"), ((rows, length), np.int32)
        )
        wanted["loss_mask"] = ((rows, length), np.bool_)
        wanted["images"] = ((rows, images, frames, 16, 16, 3), np.uint8)
        wanted["frame_mask"] = ((rows, images, frames), np.bool_)
        wanted["skipped"] = ((rows,), np.int32)
        assert {key: (value.shape, value.dtype.type) for key, value in batch[name].items()} == wanted


def test_every_epoch_reads_every_record_once():
    mixture = pairs_mixture()
    order = [record for step in range(23 * 3) for record in mixture.records("pairs", step)]
    epochs = [order[start : start + 23] for start in range(0, len(order), 23)]
    assert len(epochs) == 12 and all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 12


def test_rows_are_those_of_the_records():
    mixture = pairs_mixture()
    for step in (0, 5, 900):
        batch, words = mixture.batch(step)["pairs"], WordTokenizer()
        for row, record in enumerate(mixture.records("pairs", step)):
            assert words.encode(f"caption {record}")[1] in batch["tokens"][row]


def test_batches_depend_on_seed_and_step_alone(three):
    again = pickle.loads(pickle.dumps(three))
    again.batch(17)
    assert same(again.batch(5), three.batch(5))
    assert not same(three.batch(5), three.batch(6))
    other = Mixture(MixtureConfig(three.config.datasets, seed=4), three.tokenizer, three._sources)
    assert not same(other.batch(5), three.batch(5))


def test_adding_a_dataset_leaves_the_others(three):
    alone = Mixture(MixtureConfig(three.config.datasets[1:2], seed=3), three.tokenizer, three._sources)
    assert same(alone.batch(4), {"pairs": three.batch(4)["pairs"]})


@given(st.integers(0, 10_000), st.sampled_from([1, 2]))
@settings(max_examples=10, deadline=None)
def test_hosts_together_read_what_one_reads(three, step, hosts):
    parts = [three.batch(step, (host, hosts)) for host in range(hosts)]
    joined = {
        name: {key: np.concatenate([part[name][key] for part in parts]) for key in parts[0][name]} for name in parts[0]
    }
    assert same(joined, three.batch(step))


def test_explicit_rows(three):
    rows = {"m3w": [3, 1], "pairs": np.array([0, 7, 2]), "clips": [1]}
    whole, some = three.batch(2), three.batch(2, rows)
    assert same(some, {name: {key: whole[name][key][rows[name]] for key in whole[name]} for name in whole})


def test_rows_outside_the_batch_are_errors():
    with pytest.raises(ValueError, match=r"dataset 'a': rows \[4\] of a batch of 4"):
        resolve_rows({"a": [0, 4]}, "a", 4)
    with pytest.raises(ValueError, match="host 0 of 3 cannot take an equal share of 4 rows"):
        resolve_rows((0, 3), "a", 4)
    with pytest.raises(ValueError, match="host 2 of 2"):
        resolve_rows((2, 2), "a", 4)


class Spoilt:
    """The pairs, with some records that do not come out."""

    def __init__(self, spoilt, error=RecordError):
        self.spoilt, self.error = set(spoilt), error

    def __len__(self):
        return len(PAIRS)

    def __getitem__(self, index):
        if index in self.spoilt:
            raise self.error(f"record {index} is spoilt")
        return PAIRS[index]


def test_a_spoilt_record_is_replaced_and_counted_and_nothing_else_moves():
    clean, spoilt = pairs_mixture(), pairs_mixture(Spoilt({3, 11}))
    replaced = 0
    for step in range(23):
        one, other = clean.batch(step)["pairs"], spoilt.batch(step)["pairs"]
        asked = np.isin(clean.records("pairs", step), [3, 11])
        assert ((other["skipped"] > 0) == asked).all()
        for key in one:
            assert (one[key][~asked] == other[key][~asked]).all()
        assert not (one["tokens"][asked] == other["tokens"][asked]).all(axis=-1).any()
        replaced += int(asked.sum())
    assert replaced == 8  # 92 slots: four epochs


def test_replacements_are_spread_over_the_dataset():
    mixture = pairs_mixture(batch_size=23)
    drawn = collections.Counter(mixture._makers["pairs"].record(slot, 1) for slot in range(4600))
    assert len(drawn) == 23 and max(drawn.values()) < 280  # 200 expected


def test_media_that_cannot_be_decoded_are_replaced(three):
    counts = dict.fromkeys(three.datasets, 0)
    for step in range(12):
        batch = three.batch(step)
        for name in batch:
            assert (batch[name]["frame_mask"].any(axis=(1, 2)) | (name == "m3w")).all()
            counts[name] += int(batch[name]["skipped"].sum())
    assert all(counts.values())


def test_a_dataset_of_spoilt_records_is_one_clear_error():
    with pytest.raises(
        RecordError, match=r"dataset 'pairs': 5 records tried for slot 0, none of use; the last: record"
    ):
        pairs_mixture(Spoilt(range(23)), max_attempts=5).batch(0)


class Flaky:
    """Fails to read the first so many times."""

    def __init__(self, failures):
        self.left = failures
        self.lock = threading.Lock()

    def __len__(self):
        return len(PAIRS)

    def __getitem__(self, index):
        with self.lock:
            if self.left:
                self.left -= 1
                raise SourceError("the network is down")
        return PAIRS[index]


def test_failed_reads_are_tried_again():
    wanted = pairs_mixture().batch(0)
    assert same(pairs_mixture(Flaky(3), io_retries=3, io_retry_seconds=0.001).batch(0), wanted)
    with pytest.raises(SourceError, match=r"dataset 'pairs': the network is down \(tried 3 times\)"):
        pairs_mixture(Flaky(99), io_retries=2, io_retry_seconds=0.001).batch(0)


def test_other_errors_are_not_skipped():
    with pytest.raises(ZeroDivisionError):
        pairs_mixture(Spoilt(range(23), ZeroDivisionError)).batch(0)


def test_skip_monitor():
    monitor = SkipMonitor(0.1)
    batch = np.array([0] * 90 + [1] * 10)
    for _ in range(20):
        monitor.add("good", batch)
    bad = np.array([0] * 80 + [1] * 20)
    for _ in range(9):
        monitor.add("bad", bad)
    with pytest.raises(SkipRateError, match=r"dataset 'bad': 200 of 1200 records were unusable.*max_skip_rate = 0\.1"):
        monitor.add("bad", bad)


def test_config_errors():
    dataset = PairsConfig(path="", batch_size=1)
    for datasets in ((), (("a", dataset), ("a", dataset))):
        with pytest.raises(ValueError, match="each with its own name"):
            MixtureConfig(datasets=datasets)
    with pytest.raises(ValueError, match="prefetch must be at least 1"):
        MixtureConfig(datasets=(("a", dataset),), prefetch=0)
    with pytest.raises(SourceError, match="dataset 'pairs' holds no record"):
        pairs_mixture([])


def test_missing_dataset_is_found_at_once(tmp_path):
    config = MixtureConfig(datasets=(("pairs", PairsConfig(path=str(tmp_path / "none"), batch_size=1)),))
    with pytest.raises(SourceError, match="no such dataset"):
        Mixture(config, WordTokenizer())
