"""Examples: drawn, or the most alike; and the splits that they come from."""

import collections
import dataclasses

import numpy as np
import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.splits import open_split
from flamingo_jax.evaluation.fewshot.support import RandomSelection, Rices, permuted


def item(number: int, picture: int | None = None, label: int = -1, split: str = "train") -> Item:
    path = f"/nowhere/{split}{number if picture is None else picture}.png"
    return Item(f"{split}{number}", MediaFile(path), "Output:", f"answer {number}", label=label)


def test_draws_depend_on_the_item_and_the_seed_alone():
    draw = RandomSelection(50)
    first = draw(item(3), 7, 8, seed=1)
    assert len(set(first)) == 8
    assert draw(item(3), 0, 8, seed=1) == first
    assert draw(item(3), 7, 4, seed=1) == first[:4]  # those of few shots are among those of many
    assert draw(item(4), 7, 8, seed=1) != first != draw(item(3), 7, 8, seed=2)


def test_every_example_is_drawn_equally_often():
    draw = RandomSelection(10)
    counts = collections.Counter(place for number in range(4000) for place in draw(item(number), 0, 4, 0))
    expected = 4000 * 4 / 10
    assert sum((counts[place] - expected) ** 2 / expected for place in range(10)) < 30  # chi-square, 9 degrees: 1e-4


def test_the_nearest_come_last():
    rng = np.random.default_rng(0)
    support, queries = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in rng.normal(size=(2, 40, 5)))
    chosen = Rices(queries, support)(item(0), 3, 6, seed=0)
    distance = np.linalg.norm(support - queries[3], axis=1)
    assert chosen == np.argsort(distance)[:6][::-1].tolist()
    support[11] = queries[3]
    assert Rices(queries, support)(item(0), 3, 6, seed=5)[-1] == 11


def test_permutations_keep_the_examples():
    places = [5, 3, 9, 1]
    orders = [permuted(places, item(0), 0, number) for number in range(6)]
    assert orders[0] == places and all(sorted(order) == sorted(places) for order in orders)
    assert len(set(map(tuple, orders))) > 3


def benchmark(train: list[Item], test: list[Item], **more) -> Benchmark:
    items = {"train": train, "test": test}
    values = {"dev_queries": 4, "support_size": 5, "files": {"train": (), "test": ()}} | more
    return Benchmark(
        name="b",
        title="B",
        metric="m",
        read=lambda folder, split: items[split],
        score=lambda items, predictions: Score(0.0),
        query_split="test",
        **values,
    )


@pytest.fixture(autouse=True)
def all_are_there(monkeypatch):
    monkeypatch.setattr("flamingo_jax.evaluation.fewshot.splits.check_media", lambda items, *_: items)


def test_the_dev_queries_are_cut_from_training_and_share_no_image_with_the_examples(tmp_path):
    train = [item(number, picture=number // 2) for number in range(30)]
    split = open_split(benchmark(train, []), epath.Path(tmp_path), FewShotConfig(dev=True))
    assert (split.name, len(split.queries), len(split.support)) == ("dev", 4, 5)
    assert not {each.medium for each in split.queries} & {each.medium for each in split.support}
    again = open_split(benchmark(train, []), epath.Path(tmp_path), FewShotConfig(dev=True))
    assert split == again  # the cut is the same in every evaluation
    few = open_split(benchmark(train, []), epath.Path(tmp_path), FewShotConfig(dev=True, max_items=2))
    assert few.support == split.support and {each.key for each in few.queries} < {each.key for each in split.queries}


def test_examples_of_classes_are_as_many_of_each(tmp_path):
    train = [item(number, label=number % 3) for number in range(30)]
    split = open_split(benchmark(train, [item(0, split="test")], support_size=4), epath.Path(tmp_path), FewShotConfig())
    assert collections.Counter(each.label for each in split.support) == {0: 4, 1: 4, 2: 4}


def test_an_example_never_shows_a_querys_image(tmp_path):
    train = [item(number) for number in range(6)]
    test = [dataclasses.replace(item(2), key="t")]
    split = open_split(benchmark(train, test, support_size=9), epath.Path(tmp_path), FewShotConfig())
    assert [each.key for each in split.support] == ["train0", "train1", "train3", "train4", "train5"]


def test_prompts_that_show_nothing_need_no_release_of_examples(tmp_path):
    """Where it is there it is read, as commands of one folder with other numbers of shots have it."""
    train, test = [item(1)], [item(0, split="test")]
    files = {"train": (ReleaseFile("train.json", "train.json of example.org"),), "test": ()}
    ranked = benchmark(train, test, files=files, text_examples=0)
    bare = open_split(ranked, epath.Path(tmp_path), FewShotConfig(shots=(0,)))
    assert bare.queries == test and not bare.support
    for shown, shots in ((ranked, (0, 4)), (dataclasses.replace(ranked, text_examples=2), (0,))):
        with pytest.raises(ConfigError, match=r"train\.json of example\.org"):
            open_split(shown, epath.Path(tmp_path), FewShotConfig(shots=shots))
    (tmp_path / "train.json").write_text("[]")
    assert open_split(ranked, epath.Path(tmp_path), FewShotConfig(shots=(0,))).support == train


def test_it_is_told_where_a_release_has_another_number_of_items(tmp_path):
    train, test = [item(number) for number in range(6)], [item(0, split="test")]
    cut = benchmark(train, test, sizes={"train": 6, "test": 9178})
    assert open_split(cut, epath.Path(tmp_path), FewShotConfig()).notes == (
        "1 items of test were read, of the release's 9,178.",
    )
    whole = benchmark(train, test, sizes={"train": 6})
    assert open_split(whole, epath.Path(tmp_path), FewShotConfig()).notes == ()


@pytest.mark.parametrize(
    "more, config, message",
    [
        ({"dev_queries": 0}, {"dev": True}, "B is not one of the paper's DEV sets"),
        ({}, {"split": "val"}, "B has no split 'val', but train, test"),
        ({"dev_queries": 99}, {"dev": True}, "30 items, and the DEV queries alone are 99"),
        ({}, {}, "nothing to ask about in split 'test'"),
    ],
)
def test_what_cannot_be(tmp_path, more, config, message):
    with pytest.raises(ConfigError, match=message):
        open_split(benchmark([item(n) for n in range(30)], [], **more), epath.Path(tmp_path), FewShotConfig(**config))


@pytest.mark.parametrize(
    "config",
    [
        *({"shots": ()}, {"shots": (4, 4)}, {"shots": (-1,)}, {"seeds": ()}, {"selections": ("nearest",)}),
        *({"selections": ()}, {"batch_size": 0}, {"permutations": 0}, {"dev": True, "split": "val"}),
    ],
)
def test_settings_that_make_no_sense(config):
    with pytest.raises(ValueError, match="FewShotConfig"):
        FewShotConfig(**config)


def test_dev_queries_of_classes_are_as_many_of_each(tmp_path):
    train = [item(number, label=number % 3) for number in range(90)]
    split = open_split(benchmark(train, [], dev_queries=12), epath.Path(tmp_path), FewShotConfig(dev=True))
    assert collections.Counter(each.label for each in split.queries) == {0: 4, 1: 4, 2: 4}
