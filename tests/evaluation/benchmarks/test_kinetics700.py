import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import kinetics700
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from flamingo_jax.evaluation.benchmarks.release import require
from tests.evaluation.benchmarks.releases.kinetics700 import CLASSES, MISSING, write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return epath.Path(tmp_path)


def test_classes_are_shared_by_the_splits(folder):
    train, val = kinetics700.read(folder, "train"), kinetics700.read(folder, "val")
    assert len(train) == 12 and len(val) == 7
    assert {item.candidates for item in train + val} == {CLASSES}
    assert all(item.candidates is val[0].candidates for item in val)
    assert all(item.answer == item.references[0] == CLASSES[item.label] for item in train + val)
    first = train[2]
    assert first.key == "-tr02AbCdEf0_000020_000030" and first.prompt == "Output:"
    assert first.medium.path == f"{folder}/train/massaging person's head/-tr02AbCdEf0_000020_000030.mp4"
    assert first.medium.span is None and first.answer == "massaging person's head"
    assert [item.label for item in train[:6]] == list(range(6))
    assert val[2].key == MISSING


@pytest.mark.parametrize("layout", ["underscores", "flat", "validate"])
def test_other_layouts_of_the_clips(folder, layout):
    item = kinetics700.read(folder, "val")[5]
    assert item.answer == "acting in play"
    old = epath.Path(item.medium.path)
    new = {
        "underscores": folder / "val" / "acting_in_play" / old.name,
        "flat": folder / "val" / old.name,
        "validate": folder / "validate" / "acting in play" / old.name,
    }[layout]
    if layout == "validate":
        (folder / "val").rename(folder / "validate")
    else:
        new.parent.mkdir(exist_ok=True)
        old.rename(new)
    assert kinetics700.read(folder, "val")[5].medium.path == str(new)


def test_score_is_the_mean_of_top_1_and_top_5(folder):
    items = kinetics700.read(folder, "val")[:4]
    ranks = [1, 3, 5, 6]  # of the true class
    said = []
    for item, rank in zip(items, ranks, strict=True):
        others = [label for label in range(6) if label != item.label]
        order = [*others[: rank - 1], item.label, *others[rank - 1 :]]
        said.append(Prediction(scores=tuple(-float(order.index(label)) for label in range(6))))
    score = kinetics700.score(items, said)
    assert score.per_item == (100, 50, 50, 0) and score.value == 50
    assert score.parts == {"top-1": 25, "top-5": 75}


def test_a_class_of_another_release_is_named(folder):
    path = folder / "train.csv"
    path.write_text(path.read_text().replace("yoga", "juggling fire"))
    with pytest.raises(ConfigError, match=r"train.csv has the class 'juggling fire', which .*validate.csv lacks"):
        kinetics700.read(folder, "train")


@pytest.mark.parametrize("place", ["val.csv", "annotations/val.csv"])
def test_the_tables_may_be_named_as_the_cvd_foundation_does(folder, place):
    before = {split: kinetics700.read(folder, split) for split in ("train", "val")}
    (folder / "annotations").mkdir()
    (folder / "validate.csv").rename(folder / place)
    (folder / "train.csv").rename(folder / "annotations/train.csv")
    for split, items in before.items():
        require(folder, kinetics700.BENCHMARK.files[split], "Kinetics-700")
        assert kinetics700.read(folder, split) == items
    path = folder / place
    path.write_text(path.read_text().replace(",7,17,", ",7,late,"))
    with pytest.raises(ConfigError, match=rf"{place}, row 2 after the header"):
        kinetics700.read(folder, "val")


def test_times_are_numbers(folder):
    path = folder / "validate.csv"
    path.write_text(path.read_text().replace(",7,17,", ",7,late,"))
    with pytest.raises(ConfigError, match=r'validate.csv, row 2 after the header: "time_end" is \'late\''):
        kinetics700.read(folder, "val")
