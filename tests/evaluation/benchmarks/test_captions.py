"""COCO and Flickr30k: which pictures are of a split, their captions, and their score."""

import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import coco, flickr30k
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.metrics.cider import cider
from tests.evaluation.benchmarks.releases import coco as small_coco
from tests.evaluation.benchmarks.releases import flickr30k as small_flickr30k


@pytest.fixture
def coco_folder(tmp_path) -> epath.Path:
    small_coco.write(tmp_path)
    return epath.Path(tmp_path)


def test_coco_reads_restval_as_train_and_pictures_from_the_folder_that_the_file_names(coco_folder):
    items = coco.BENCHMARK.read(coco_folder, "train")
    assert len(items) == 10
    folders = {epath.Path(item.medium.path).parent.name for item in items}
    assert folders == {"train2014", "val2014"}
    assert {split: len(coco.BENCHMARK.read(coco_folder, split)) for split in ("val", "test")} == {"val": 2, "test": 6}


def test_coco_items_have_image_ids_as_keys_and_all_captions(coco_folder):
    first, second = coco.BENCHMARK.read(coco_folder, "test")[:2]
    assert first.key == "391895"
    assert first.medium.path == f"{coco_folder}/val2014/COCO_val2014_000000391895.jpg"
    assert first.prompt == "Output:"
    assert first.answer == "A red circle on a grey background."
    assert first.references[:2] == ("A red circle on a grey background. ", "a  red circle, seen from the front")
    assert [len(item.references) for item in (first, second)] == [5, 6]
    assert first.candidates == () and first.label == -1


def test_flickr30k_items(tmp_path):
    small_flickr30k.write(tmp_path)
    folder = epath.Path(tmp_path)
    counts = {split: len(flickr30k.BENCHMARK.read(folder, split)) for split in ("train", "val", "test")}
    assert counts == {"train": 8, "val": 2, "test": 6}
    item = flickr30k.BENCHMARK.read(folder, "test")[0]
    assert item.key == "5"
    assert item.medium.path == f"{folder}/flickr30k-images/1000092950.jpg"
    assert len(item.references) == 5
    assert item.answer.startswith("Two young guys with a purple triangle")


def test_flickr30k_pictures_may_be_in_the_folder_of_the_other_name(tmp_path):
    small_flickr30k.write(tmp_path)
    (tmp_path / "flickr30k-images").rename(tmp_path / "flickr30k_images")
    item = flickr30k.BENCHMARK.read(epath.Path(tmp_path), "test")[0]
    assert "/flickr30k_images/" in item.medium.path


@pytest.mark.parametrize("module", [coco, flickr30k])
def test_the_score_is_cider_times_100(coco_folder, module):
    items = coco.BENCHMARK.read(coco_folder, "test")
    texts = ["a red circle on a grey background", "a square", "", "a blue triangle", "yellow", "something grey"]
    score = module.BENCHMARK.score(items, [Prediction(text) for text in texts])
    corpus, each = cider(texts, [item.references for item in items])
    assert score.value == pytest.approx(100 * corpus)
    assert score.per_item == pytest.approx(100 * each)
    assert sum(score.per_item) / len(items) == pytest.approx(score.value)
    assert 0 < score.value < 1000 and score.per_item[2] == 0


def test_a_picture_without_captions_cannot_be_scored(coco_folder):
    path = coco_folder / "dataset_coco.json"
    content = json.loads(path.read_text())
    content["images"][0]["sentences"] = []
    path.write_text(json.dumps(content))
    items = coco.BENCHMARK.read(coco_folder, "test")
    with pytest.raises(ConfigError, match=r"COCO: 1 of 6 items, such as 391895, have no public answers"):
        coco.BENCHMARK.score(items, [Prediction("a")] * 6)
