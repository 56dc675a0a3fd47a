"""Held-out cases: how they are found, shuffled and counted, and one evaluation of a tiny run from end to end."""

import dataclasses
import json
import types

import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax import generate
from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.example import Example
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.sources import open_source
from flamingo_jax.data.tokenizer import load_tokenizer
from flamingo_jax.evaluation.cases import Case, Truth, attributes_in, find_cases
from flamingo_jax.evaluation.heldout import Reader, accuracy, close_gates, majority, wrong_image
from flamingo_jax.evaluation.run import evaluate
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import Quantized
from flamingo_jax.training.loop import train
from tests import tiny

WORDS = {"colour": ("red", "blue"), "shape": ("star", "ring")}


def case(key: str = "k", caption: str = "A red star.", attributes: dict | None = None, picture: bytes = b"") -> Case:
    return Case(Document(key, (Image(picture, key), Text(caption))), caption, attributes or {})


@given(st.lists(st.sampled_from("abcdef"), max_size=14), st.integers(0, 3))
def test_no_picture_stays_in_its_own_document(keys, seed):
    cases = [case(key) for key in keys]
    if len(keys) < 2 or max(map(keys.count, keys)) * 2 > len(keys):
        with pytest.raises(ConfigError, match=f"{len(keys)} held-out pictures"):
            wrong_image(cases, seed)
        return
    partner = wrong_image(cases, seed)
    assert sorted(partner) == list(range(len(keys)))
    assert all(keys[place] != keys[other] for place, other in enumerate(partner))


def test_the_shuffle_is_one_of_many_but_always_the_same():
    cases = [case(key) for key in "aabbccddee"]
    assert wrong_image(cases) == wrong_image(cases, 0)
    assert len({tuple(wrong_image(cases, seed)) for seed in range(10)}) > 1


def documents() -> list[Document]:
    first, second, third = (Image(name.encode(), name) for name in ("one.png", "two.png", "three.png"))
    return [
        Document(
            "page", (Text("Before."), first, Text("A red star. More."), second, Text("Else."), Text("A blue ring."))
        ),
        Document("pictures", (first, third, second)),
        Document("words", (Text("A red star."),)),
        Document("last", (third, Text("A blue ring."))),
    ]


def test_cases_without_ground_truth_are_pictures_with_a_paragraph_after_them():
    found = find_cases(documents(), None, 10)
    assert [(entry.document.key, entry.medium.source, entry.caption) for entry in found] == [
        ("page", "one.png", "A red star. More."),
        ("page", "two.png", "Else."),
        ("last", "three.png", "A blue ring."),
    ]
    assert all(entry.attributes == {} for entry in found)
    assert found[0].document.items == documents()[0].items[1:]  # what stood before it is left out
    swapped = found[0].with_medium(Image(b"x", "x.png"))
    assert (swapped.key, swapped.items[0].source, swapped.items[1:]) == ("page", "x.png", documents()[0].items[2:])


def test_cases_with_ground_truth_begin_with_the_true_sentence():
    star, ring = {"colour": "red", "shape": "star"}, {"colour": "blue", "shape": "ring"}
    truth = Truth(
        WORDS,
        {
            "one.png": {"caption": "A red star.", "attributes": star},
            "two.png": {"caption": "A blue ring.", "attributes": ring},  # but "Else." follows it
            "three.png": {"caption": "A blue ring.", "attributes": ring},
        },
    )
    found = find_cases(documents(), truth, 10)
    assert [(entry.medium.source, entry.caption, entry.attributes) for entry in found] == [
        ("one.png", "A red star.", star),
        ("three.png", "A blue ring.", ring),
    ]
    assert find_cases(documents(), truth, 1) == found[:1]
    assert find_cases(documents(), Truth(WORDS, {}), 10) == []


def test_the_truth_of_one_dataset_is_read(tmp_path):
    path = tmp_path / "truth.json"
    entry = {"caption": "c", "attributes": {"colour": "red"}}
    path.write_text(json.dumps({"attributes": WORDS, "images": {"m3w/a/b.png": entry, "pairs/c.png": entry}}))
    assert Truth.load(str(path), "m3w") == Truth(WORDS, {"a/b.png": entry})
    for text in ("{", "[]", '{"images": {}}', '{"attributes": {}, "images": []}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"truth\.json is no ground truth"):
            Truth.load(str(path), "m3w")
    with pytest.raises(ConfigError, match=r"absent\.json"):
        Truth.load(str(tmp_path / "absent.json"), "m3w")


@pytest.mark.parametrize(
    ("text", "colour", "shape"),
    [
        ("A red star.", "red", "star"),
        ("RED, (ring)!", "red", "ring"),
        ("a blue red star ring", "blue", "star"),  # the first of its kind counts
        ("a reddish stars", None, None),
        ("", None, None),
    ],
)
def test_attributes_in(text, colour, shape):
    assert attributes_in(text, WORDS) == {"colour": colour, "shape": shape}


def test_accuracy_and_majority():
    truths = [("red", "star"), ("red", "ring"), ("blue", "star"), ("blue", "star")]
    cases = [case(attributes={"colour": colour, "shape": shape}) for colour, shape in truths]
    answers = ["a red star", "red and blue ring", "a star", "blue star"]
    assert accuracy(cases, answers, WORDS) == {"colour": 0.75, "shape": 1.0}
    training = [
        {"colour": "red", "shape": "ring"},
        {"colour": "red", "shape": "star"},
        {"colour": "blue", "shape": "star"},
    ]
    assert majority(cases, training, Truth(WORDS, {})) == {"colour": 0.5, "shape": 0.75}


def test_closing_gates_touches_nothing_else():
    params = tiny.init(Flamingo(tiny.CONFIG))
    closed = close_gates(params)
    gates = []
    for (path, before), after in zip(_leaves(params), (leaf for _, leaf in _leaves(closed)), strict=True):
        if path.endswith("_gate"):
            gates.append(path)
            assert np.abs(before).min() > 0
            assert not np.any(after)
        else:
            np.testing.assert_array_equal(before, after)
    assert len(gates) == 4  # two kinds, in the groups and in the tail


def test_closing_gates_passes_by_weights_in_8_bits():
    params = tiny.init(Flamingo(tiny.CONFIG))
    stored = Quantized(np.full((2, 3), 7, np.int8), np.full((1, 3), 0.5, np.float32))
    closed = close_gates(params | {"vision_encoder": {"stem": {"kernel": stored}}})
    kept = closed["vision_encoder"]["stem"]["kernel"]
    assert isinstance(kept, Quantized)
    np.testing.assert_array_equal(kept.values, stored.values)
    np.testing.assert_array_equal(kept.scale, stored.scale)
    assert not np.any(closed["language_model"]["groups"]["gated_cross_attention"]["dense_gate"])


def _leaves(tree: dict, prefix: str = "") -> list[tuple[str, np.ndarray]]:
    found = []
    for name, value in sorted(tree.items()):
        found += _leaves(value, f"{prefix}{name}/") if isinstance(value, dict) else [(prefix + name, np.asarray(value))]
    return found


@pytest.fixture(scope="module")
def tokenizer(tiny_gin):
    return load_tokenizer(str(tiny_gin.parent / "tokenizer.json"), 258)


def mask_and_example(tokenizer, dataset, cases: list[Case]) -> tuple[np.ndarray, Example]:
    """The caption mask of the first case when all of them are read, and the row that it is of."""
    session = types.SimpleNamespace(tokenizer=tokenizer, model=Flamingo(tiny.CONFIG))
    mask = Reader(session, dataset, cases, 4).caption_mask(cases[0])
    return mask, dataclasses.replace(dataset, length=len(mask)).example(cases[0].document, tokenizer)


@pytest.fixture(scope="module")
def picture(tiny_gin) -> Image:
    return open_source(str(tiny_gin.parent / "corpus/pairs"), "train")[0].media[0]


@pytest.mark.parametrize("caption", ["A red star.", "Ein roter Stern – groß."])
@pytest.mark.parametrize("longer", ["", "A case whose caption is longer."])
def test_the_caption_mask_covers_exactly_the_captions_tokens(tokenizer, picture, caption, longer):
    page = Case(Document("k", (picture, Text(f"{caption} And more."), picture, Text("Else."))), caption, {})
    pair = Case(Document("k", (picture, Text(caption))), caption, {})
    for entry, dataset in (
        (page, InterleavedConfig(path="", batch_size=1, length=80, image_size=16)),
        (pair, PairsConfig(path="", batch_size=1, length=80, image_size=16)),
    ):
        mask, example = mask_and_example(tokenizer, dataset, [entry, case(caption=longer)])
        assert example.tokens[mask].tolist() == tokenizer.encode(caption)
        assert example.loss_mask[mask].all()
        assert (example.image_index[mask] == 1).all()


@pytest.mark.parametrize("config", [InterleavedConfig, PairsConfig])
def test_the_mask_of_a_caption_that_does_not_fit_covers_its_beginning_alone(tokenizer, picture, config):
    caption = "A caption of many more bytes than the row has places for."
    entry = Case(Document("k", (picture, Text(caption))), caption, {})
    mask, example = mask_and_example(tokenizer, config(path="", batch_size=1, length=20, image_size=16), [entry])
    covered = example.tokens[mask].tolist()
    assert len(covered) == 20 - 1 - len(tokenizer.image_tag_ids) - 2  # `<EOC><EOS>` are no part of it
    assert covered == tokenizer.encode(caption)[: len(covered)]


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    """The workdir of two updates, on the captioned pictures alone: the more datasets, the more to compile."""
    workdir = tmp_path_factory.mktemp("trained")
    pairs = {name: dataset for name, dataset in tiny_config.mixture.datasets if name == "pairs"}
    mixture = dataclasses.replace(tiny_config.mixture, datasets=tuple(pairs.items()))
    assert train(dataclasses.replace(tiny_config, mixture=mixture, steps=2), str(workdir)) == 2
    return workdir


def test_an_evaluation_from_end_to_end(trained, tiny_gin):
    root = tiny_gin.parent
    report = evaluate(
        str(trained), "pairs", truth_path=str(root / "web/truth.json"), corpora=str(root / "corpus"), max_new_tokens=3
    )
    assert report.name == "report.html"
    page = report.read_text()
    assert page.rstrip().endswith("</html>")
    summary = json.loads((trained / "summary.json").read_text())
    parts = {"matched", "shuffled_images", "frozen_lm"}
    for part in parts:
        assert 0 < summary[f"heldout_nll_{part}"] < 1_000
    assert len({summary[f"heldout_nll_{part}"] for part in parts}) == 3
    for name in ("accuracy", "accuracy_blind", "accuracy_wrong_image", "accuracy_majority"):
        assert 0 <= summary[f"heldout_{name}"] <= 1
    assert summary["steps"] == 2
    assert summary["params_trainable"] > 0 and summary["params_frozen"] > 0
    assert summary["loss_first"] != summary["loss_last"]
    assert summary["tokens_per_second"] > 0 and summary["seconds"] > 0
    examples = json.loads((trained / "heldout.json").read_text())["examples"]
    assert len(examples) == summary["heldout_pictures"] >= 2
    nlls = [example["nll"] for example in examples]
    room = 40 - len("<image>") - 3  # a token a byte, beside <BOS>, the tag, <EOC> and <EOS>
    lengths = [min(room, len(example["truth"].encode())) for example in examples]
    assert summary["heldout_nll_matched"] == pytest.approx(np.average(nlls, weights=lengths), rel=1e-4)
    assert all(example["image"] != example["wrong_image"] for example in examples)
    assert not [path for path in trained.iterdir() if path.name.endswith(".partial")]


def test_generate_prints_the_answer_alone(trained, tiny_gin, capsys):
    picture = sorted((tiny_gin.parent / "web/pairs").rglob("*.png"))[0]
    given = [f"--workdir={trained}", "--prompt=<image>Output:", f"--image={picture}", "--max_new_tokens=3"]
    with flagsaver.flagsaver():
        flags.FLAGS(["generate", *given, "--method=beam"])
        generate.main()
    out = capsys.readouterr().out
    assert out.endswith("\n") and len(out) > 1
