"""ImageNet-1k: the layouts of its release, its classes' names, and the accuracy."""

import shutil

import numpy as np
import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.imagenet import BENCHMARK
from flamingo_jax.evaluation.benchmarks.release import check_media, require
from tests.evaluation.benchmarks.releases import imagenet as small

NAMES = ("tench", "crane", "Cardigan, Cardigan Welsh corgi", "cardigan", "crane")


@pytest.fixture
def folder(tmp_path) -> epath.Path:
    small.write(tmp_path)
    return epath.Path(tmp_path)


def test_train_has_the_pictures_of_every_class_folder(folder):
    items = BENCHMARK.read(folder, "train")
    assert len(items) == 20
    assert [item.label for item in items] == [label for label in range(5) for _ in range(4)]
    assert items[4].key == "n02012849_10026"
    assert items[4].medium.path == f"{folder}/train/n02012849/n02012849_10026.JPEG"
    assert items[4].prompt == "Output:" and items[4].answer == "crane" and items[4].references == ("crane",)


def test_candidates_are_the_first_names_or_all_where_classes_begin_alike_and_one_object(folder):
    items = BENCHMARK.read(folder, "val")
    assert items[0].candidates == NAMES
    assert all(item.candidates is items[0].candidates for item in items)


def test_val_is_the_same_from_every_layout(folder, tmp_path):
    wanted = {(item.key, item.label) for item in BENCHMARK.read(folder, "val")}
    labels = [sorted(small.CLASSES).index(wnid) for wnid in small.VAL]
    assert wanted == {(f"ILSVRC2012_val_{number:08d}", label) for number, label in enumerate(labels, 1)}

    kit = tmp_path / "kit"
    small.write(kit)
    small.take_development_kit(kit)
    require(epath.Path(kit), BENCHMARK.files["val"], "ImageNet-1k")
    items = check_media(BENCHMARK.read(epath.Path(kit), "val"), "ImageNet-1k")
    assert {(item.key, item.label) for item in items} == wanted and items[0].candidates == NAMES

    moved = tmp_path / "moved"
    small.write(moved)
    small.move_into_class_folders(moved)
    items = check_media(BENCHMARK.read(epath.Path(moved), "val"), "ImageNet-1k")
    assert {(item.key, item.label) for item in items} == wanted


def test_the_folders_may_be_those_of_the_other_edition(folder, tmp_path):
    (tmp_path / "ILSVRC/Data/CLS-LOC").mkdir(parents=True)
    for split in ("train", "val"):
        shutil.move(tmp_path / split, tmp_path / "ILSVRC/Data/CLS-LOC" / split)
    require(folder, BENCHMARK.files["train"] + BENCHMARK.files["val"], "ImageNet-1k")
    assert len(check_media(BENCHMARK.read(folder, "val"), "ImageNet-1k")) == 10
    assert len(BENCHMARK.read(folder, "train")) == 20


def test_no_more_examples_are_shown_than_in_the_papers_table():
    assert BENCHMARK.max_shots == 16


def test_a_class_that_was_not_unpacked_is_named(folder):
    (folder / "train" / "n02113186").rmtree()
    with pytest.raises(ConfigError, match=r"train has no folder for 1 of 5 classes, such as n02113186\. Unpack each"):
        BENCHMARK.read(folder, "train")


@pytest.mark.parametrize("edition", ["LOC_val_solution.csv", "ILSVRC2012_validation_ground_truth.txt"])
def test_labels_that_are_cut_short_are_named_with_both_counts(folder, tmp_path, edition):
    if edition.startswith("ILSVRC"):
        small.take_development_kit(tmp_path)
    (path,) = tmp_path.rglob(edition)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:6]))
    counts = rf"{edition} has [56] labels, and .*val 10 pictures, of which [45] have none, such as ILSVRC2012_val_"
    with pytest.raises(ConfigError, match=counts):
        BENCHMARK.read(folder, "val")


def test_pictures_that_are_moved_in_part_are_named(folder):
    small.move_into_class_folders(folder)
    picture = folder / "val" / small.VAL[0] / "ILSVRC2012_val_00000001.JPEG"
    picture.rename(folder / "val" / picture.name)
    with pytest.raises(ConfigError, match=r"val has 1 pictures beside its folders of classes, such as ILSVRC2012"):
        BENCHMARK.read(folder, "val")


def test_a_class_folder_without_pictures_is_named(folder):
    for picture in (folder / "train" / "n02113186").iterdir():
        picture.unlink()
    with pytest.raises(ConfigError, match=r"train/n02113186 has no picture \*\.JPEG"):
        BENCHMARK.read(folder, "train")


def test_pictures_in_class_folders_are_as_many_as_the_labels_beside_them(folder):
    labels = (folder / "LOC_val_solution.csv").read_text()
    small.move_into_class_folders(folder)
    (folder / "LOC_val_solution.csv").write_text(labels)
    assert len(BENCHMARK.read(folder, "val")) == 10
    (folder / "val" / small.VAL[0] / "ILSVRC2012_val_00000001.JPEG").unlink()
    with pytest.raises(ConfigError, match=r"val has 9 pictures in folders .*LOC_val_solution\.csv 10 labels"):
        BENCHMARK.read(folder, "val")


def test_val_without_labels_says_where_they_come_from(folder):
    (folder / "LOC_val_solution.csv").unlink()
    with pytest.raises(ConfigError, match=r"2 of 2 files .*missing(.|\n)*ILSVRC2012_validation_ground_truth\.txt"):
        BENCHMARK.read(folder, "val")


def test_a_truncated_list_of_classes_is_named(folder):
    path = folder / "LOC_synset_mapping.txt"
    path.write_text(path.read_text()[:45])  # two lines
    with pytest.raises(ConfigError, match=r"train has folders of 3 classes .* list of 2 .*, such as n02113186"):
        BENCHMARK.read(folder, "train")
    with pytest.raises(ConfigError, match=r"LOC_val_solution\.csv: .* is of 'n\d+', which is none of the classes"):
        BENCHMARK.read(folder, "val")
    path.write_text("n01440764 tench\nn0201")
    with pytest.raises(ConfigError, match=r"LOC_synset_mapping\.txt, line 2 has no WordNet id with a name"):
        BENCHMARK.read(folder, "val")


def test_a_truncated_development_kit_is_named(folder, tmp_path):
    small.take_development_kit(tmp_path)
    path = tmp_path / "ILSVRC2012_devkit_t12/data/meta.mat"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ConfigError, match=r"meta\.mat cannot be read as the development kit's meta\.mat"):
        BENCHMARK.read(folder, "val")


def test_the_score_is_top_1_accuracy_with_top_5_as_a_part(folder):
    items = BENCHMARK.read(folder, "val")
    scores = np.zeros((10, 5))
    for place, item in enumerate(items):
        scores[place, item.label if place < 6 else (item.label + 1) % 5] = 1
    score = BENCHMARK.score(items, [Prediction(scores=tuple(row)) for row in scores])
    assert score.value == pytest.approx(60)
    assert score.per_item == (*[100.0] * 6, *[0.0] * 4)
    assert score.parts == {"top-5": 100.0}
