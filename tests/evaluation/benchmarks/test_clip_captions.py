"""VATEX and YouCook2: clips with captions."""

import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import vatex, youcook2
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.metrics.cider import cider
from tests.evaluation.benchmarks.releases import vatex as vatex_release
from tests.evaluation.benchmarks.releases import youcook2 as youcook2_release


@pytest.fixture
def folder(tmp_path):
    return epath.Path(tmp_path)


def test_vatex_has_the_english_captions(folder):
    vatex_release.write(folder)
    items = vatex.read(folder, "train")
    assert [item.key for item in items] == [f"tr-{n:02d}_aBcDeF_{n:06d}_{n + 10:06d}" for n in range(10)]
    first = items[0]
    assert first.prompt == "Output:" and first.answer == "A man juggles three oranges outside."
    assert len(first.references) == 10 and all(text.isascii() for text in first.references)
    assert first.medium.path == f"{folder}/videos/{first.key}.mp4" and first.medium.video
    assert first.medium.span is None and first.candidates == () and first.label == -1
    assert items[3].medium.path.endswith(".mkv")  # whatever the site gave
    test = vatex.read(folder, "test")
    assert len(test) == 7 and test[3].key == vatex_release.MISSING
    assert test[0].references[0] == " A woman  folds\na map. " and test[0].answer == "A woman folds a map."


def test_youcook2_has_an_item_a_step(folder):
    youcook2_release.write(folder)
    items = youcook2.read(folder, "train")
    assert [item.key for item in items[:5]] == [*(f"tr-Cake_aaaa_{step}" for step in range(4)), "trSoup_bbbb1_0"]
    assert [item.medium.span for item in items[:3]] == [(0.0, 2.0), (3.0, 5.0), (6.0, 8.0)]
    assert items[1].answer == "whisk the eggs with sugar" and items[1].references == ("whisk the eggs with sugar",)
    assert items[5].references == ("add carrots and  leek",) and items[5].answer == "add carrots and leek"
    assert items[0].medium.path == f"{folder}/raw_videos/training/101/tr-Cake_aaaa.mp4"
    assert items[4].medium.path == f"{folder}/raw_videos/training/213/trSoup_bbbb1.mkv"
    validation = youcook2.read(folder, "val")
    assert [item.key.rpartition("_")[0] for item in validation[::3]] == ["-vaRoll_cccc", "val_Fry_dddd", "val-Gone_000"]
    assert validation[0].medium.path.endswith("/validation/101/-vaRoll_cccc.webm")


def test_youcook2_finds_videos_outside_their_recipes_folder(folder):
    youcook2_release.write(folder)
    (folder / "raw_videos/training/101/tr-Cake_aaaa.mp4").rename(folder / "raw_videos/training/tr-Cake_aaaa.mp4")
    assert youcook2.read(folder, "train")[0].medium.path == f"{folder}/raw_videos/training/tr-Cake_aaaa.mp4"


@pytest.mark.parametrize("segment", [[-1, 2], [1], [1, "2"], [1, 2, 3], [1, float("nan")], [True, 3]])
def test_youcook2_segments_that_are_none_are_named(folder, segment):
    youcook2_release.write(folder)
    path = folder / "youcookii_annotations_trainval.json"
    content = json.loads(path.read_text())
    content["database"]["trSoup_bbbb1"]["annotations"][2]["segment"] = segment
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"video trSoup_bbbb1: .* seconds"):
        youcook2.read(folder, "train")


@pytest.mark.parametrize(("segment", "span"), [([5, 5], (5, 6)), ([7, 2], (7, 8)), ([0.5, 0.6], (0.5, 0.6))])
def test_youcook2_segments_without_length_show_a_second(folder, segment, span):
    youcook2_release.write(folder)
    path = folder / "youcookii_annotations_trainval.json"
    content = json.loads(path.read_text())
    content["database"]["trSoup_bbbb1"]["annotations"][2]["segment"] = segment
    path.write_text(json.dumps(content))
    assert youcook2.read(folder, "train")[6].medium.span == span


@pytest.mark.parametrize("captions", [[], ["a cat", 5], None])
def test_vatex_captions_that_are_none_are_named(folder, captions):
    vatex_release.write(folder)
    path = folder / "vatex_validation_v1.0.json"
    content = json.loads(path.read_text())
    content[1]["enCap"] = captions
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r'vatex_validation_v1.0.json, record 1: .*"enCap"'):
        vatex.read(folder, "val")


@pytest.mark.parametrize(("benchmark", "release"), [(vatex, vatex_release), (youcook2, youcook2_release)])
def test_score_is_cider_of_the_items(folder, benchmark, release):
    release.write(folder)
    items = benchmark.read(folder, "val")
    said = [" ".join(item.answer.split()[::2]) for item in items]
    corpus, each = cider(said, [item.references for item in items])
    score = benchmark.score(items, [Prediction(text) for text in said])
    assert score.value == pytest.approx(100 * corpus) and score.per_item == pytest.approx(100 * each)
    assert score.value > 0
