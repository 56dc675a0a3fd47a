"""What holds for each of the video benchmarks, on a small release in the real layout."""

import importlib
import io
import shutil

import av
import numpy as np
import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.video import load_clip
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.release import check_media, require

SPLITS = {
    "vatex": ("train", "val", "test"),
    "msvd_qa": ("train", "val", "test"),
    "youcook2": ("train", "val"),
    "msrvtt_qa": ("train", "val", "test"),
    "ivqa": ("train", "val", "test"),
    "rareact": ("test",),
    "next_qa": ("train", "val", "test"),
    "star": ("train", "val", "test"),
    "kinetics700": ("train", "val"),
}
ALL = [(name, split) for name, splits in SPLITS.items() for split in splits]
NOT_FROM_YOUTUBE = {"next_qa", "star"}


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """Folder of each small release, written when first asked for."""
    root = tmp_path_factory.mktemp("releases")

    def folder(name):
        if not (root / name).exists():
            (root / name).mkdir()
            importlib.import_module(f"tests.evaluation.benchmarks.releases.{name}").write(root / name)
        return epath.Path(root / name)

    return folder


@pytest.fixture
def copied(releases, tmp_path):
    """A copy of a release, to be damaged."""
    return lambda name: epath.Path(shutil.copytree(releases(name), tmp_path / name))


def benchmark(name):
    return importlib.import_module(f"flamingo_jax.evaluation.benchmarks.{name}").BENCHMARK


@pytest.mark.parametrize("name", SPLITS)
def test_declares_what_it_has(name):
    one = benchmark(name)
    assert one.name == name and set(one.files) == set(SPLITS[name])
    assert {one.query_split, one.support_split} <= set(one.files)
    assert one.partial == (name not in NOT_FROM_YOUTUBE)


@pytest.mark.parametrize(("name", "split"), ALL)
def test_reads_items_that_can_be_shown(releases, name, split):
    one, folder = benchmark(name), releases(name)
    require(folder, one.files[split], one.title)
    items = one.read(folder, split)
    assert len({item.key for item in items}) == len(items)
    there = check_media(items, one.title, one.partial)
    assert len(there) == len(items) or one.partial
    if split == one.query_split:
        assert len(there) >= 6
        assert len(there) < len(items) or not one.partial  # each small release of YouTube's lacks a video
    if split == one.support_split and one.support_size:
        assert len(there) >= 8 and all(item.answer for item in there)
    for item in there:
        medium = item.medium.load()
        shown = {"num_frames": 4, "frame_rate": 1.0, "size": 16, "max_pixels": 10**6, "rng": None}
        assert medium.span == item.medium.span
        assert 1 <= len(load_clip(medium.encoded, span=medium.span, **shown)) <= 4
        with av.open(io.BytesIO(medium.encoded)) as container:
            assert medium.span is None or medium.span[1] <= container.duration / av.time_base + 1e-3
    assert all(item.prompt.endswith(("Output:", "Answer:", "Caption:")) for item in items)
    for item in items:
        assert not item.answer or item.answer in [" ".join(reference.split()) for reference in item.references]


@pytest.mark.parametrize(("name", "split"), ALL)
def test_each_missing_file_is_named(copied, name, split):
    one, folder = benchmark(name), copied(name)
    for file in one.files[split]:
        path, away = folder / file.path, folder.parent / "away"
        path.rename(away)
        with pytest.raises(ConfigError) as error:
            require(folder, one.files[split], one.title)
        assert (
            one.title in str(error.value)
            and file.path.rstrip("/") in str(error.value)
            and file.release in str(error.value)
        )
        away.rename(path)
    require(folder, one.files[split], one.title)


@pytest.mark.parametrize(("name", "split"), ALL)
def test_each_cut_off_file_is_named(copied, name, split):
    one, folder = benchmark(name), copied(name)
    for file in one.files[split]:
        path = folder / file.path
        if path.is_dir():
            continue
        whole = path.read_bytes()
        middle = whole.index(b"\n", len(whole) // 2) + 3 if path.suffix in (".csv", ".txt") else len(whole) // 2
        for damaged in whole[:middle], whole[:middle] + b"\xff\xfe\0":
            path.write_bytes(damaged)
            with pytest.raises(ConfigError) as error:
                one.read(folder, split)
            assert path.name in str(error.value)
        path.write_bytes(whole)


@pytest.mark.parametrize("name", SPLITS)
def test_a_missing_clip_is_left_out_of_youtube_sets_and_an_error_elsewhere(copied, name):
    one, folder = benchmark(name), copied(name)
    before = check_media(one.read(folder, one.query_split), one.title, one.partial)
    gone = before[0].medium.path
    epath.Path(gone).unlink()
    items = one.read(folder, one.query_split)
    if one.partial:
        expected = [item.key for item in before if item.medium.path != gone]
        assert [item.key for item in check_media(items, one.title, True)] == expected
    else:
        with pytest.raises(ConfigError, match="not there") as error:
            check_media(items, one.title)
        assert gone in str(error.value)


def right(item):
    """The prediction of a model that knows."""
    if item.candidates:
        return Prediction(scores=tuple(float(one in item.references) for one in item.candidates))
    return Prediction(text=item.references[0])


def wrong(item):
    if item.candidates:
        return Prediction(scores=tuple(-float(one in item.references) for one in item.candidates))
    return Prediction(text="qwxz")


@pytest.mark.parametrize("name", SPLITS)
def test_knowing_scores_more_than_not_knowing(releases, name):
    if name == "next_qa":
        pytest.importorskip("nltk")
    one = benchmark(name)
    items = one.read(releases(name), one.query_split)
    best, worst = (one.score(items, [say(item) for item in items]) for say in (right, wrong))
    assert best.value > 50 > worst.value >= 0
    for score in best, worst:
        if score.per_item:
            assert len(score.per_item) == len(items)
            assert np.mean([share for share in score.per_item if share is not None]) == pytest.approx(score.value)
    if name in {"star", "kinetics700", "rareact", "next_qa"}:
        assert best.value == pytest.approx(100)
