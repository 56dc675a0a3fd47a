"""The questions of the probes: what they say is true of their pictures, they are balanced, and always the same."""

import collections
import hashlib
import json

import numpy as np
import pytest
from etils import epath
from PIL import Image, ImageFont

from flamingo_jax.data.scenes.words import COLOURS, VOCABULARIES
from flamingo_jax.evaluation.benchmarks.catalog import find
from flamingo_jax.evaluation.confidence.rule import ABSTENTION
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.prompts import few_shot_prompt, zero_shot_prompt
from flamingo_jax.evaluation.probes import absent_objects, misleading, objects, stroop, ungrounded

PROBES = {"stroop": stroop, "absent_objects": absent_objects, "misleading": misleading, "ungrounded": ungrounded}
DRAFTS = {name: module.drafts(np.random.default_rng(0)) for name, module in PROBES.items()}
# Hues in degrees, the middles of the ranges that pictures are drawn from.
HUES = {"red": 0, "orange": 27, "yellow": 54, "green": 131, "blue": 222, "purple": 282}


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    folder = epath.Path(tmp_path_factory.mktemp("drawn"))
    return {name: open_to_ask(find(name), folder / name, FewShotConfig()) for name in PROBES}


def paths_of(split):
    return list(dict.fromkeys(item.medium.path for item in split.queries))


def pictures_of(name):
    return list({json.dumps(draft.picture): draft.picture for draft in DRAFTS[name]}.values())


def saturated(image):
    """Hues, 0 to 360, and which pixels have one: backgrounds are almost grey."""
    hue, saturation, value = (np.asarray(band, float) for band in image.convert("HSV").split())
    return hue * 360 / 255, (saturation > 130) & (value > 60)


def nearest_colours(image, least=0.004):
    """The colours of so many of the pixels."""
    hue, kept = saturated(image)
    distances = [np.abs((hue[kept] - centre + 180) % 360 - 180) for centre in HUES.values()]
    counts = np.bincount(np.argmin(distances, axis=0), minlength=len(HUES))
    return {name for name, count in zip(HUES, counts, strict=True) if count > least * kept.size}


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_has_enough_questions_and_other_pictures_for_examples(name, splits):
    split = splits[name]
    assert len(split.queries) >= 200 and len(split.support) == len(split.queries)
    assert not {item.medium.path for item in split.queries} & {item.medium.path for item in split.support}
    digests = [
        {hashlib.sha256(epath.Path(item.medium.path).read_bytes()).digest() for item in items}
        for items in (split.queries, split.support)
    ]
    assert not digests[0] & digests[1] and len(digests[0]) == len(paths_of(split))
    assert len({item.key for item in (*split.queries, *split.support)}) == 2 * len(split.queries)
    assert all(item.answer in item.candidates for item in (*split.queries, *split.support))


@pytest.mark.parametrize("name", PROBES)
def test_questions_and_pictures_are_always_the_same(name, splits, tmp_path):
    assert PROBES[name].drafts(np.random.default_rng(0)) == DRAFTS[name]
    assert PROBES[name].drafts(np.random.default_rng(1)) != DRAFTS[name]
    benchmark = find(name)
    benchmark.write(epath.Path(tmp_path), "test")
    again = benchmark.read(epath.Path(tmp_path), "test")
    for item, other in list(zip(splits[name].queries, again, strict=True))[::40]:
        assert (item.prompt, item.answer, item.candidates) == (other.prompt, other.answer, other.candidates)
        assert epath.Path(item.medium.path).read_bytes() == epath.Path(other.medium.path).read_bytes()


def test_words_and_inks_are_balanced():
    kinds = collections.Counter(draft.details["kind"] for draft in DRAFTS["stroop"])
    assert set(kinds.values()) == {60} and len(kinds) == 4
    of = collections.Counter((draft.details["kind"], draft.answer) for draft in DRAFTS["stroop"])
    assert set(of.values()) == {10}
    for draft in DRAFTS["stroop"]:
        assert ("incongruent" in draft.details["kind"]) == (draft.picture["word"] != draft.picture["ink"])


def test_the_ink_is_in_the_pixels(splits):
    inks = {
        item.medium.path: item.answer for item in splits["stroop"].queries if item.details["kind"].startswith("ink")
    }
    assert len(inks) == 120
    for path, ink in inks.items():
        assert nearest_colours(Image.open(path)) == {ink}


def test_the_word_is_in_the_pixels():
    """The written word is likest to itself of all colour words, each stretched to the same box."""

    def box(mask):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        cut = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return np.asarray(Image.fromarray(cut).resize((96, 32), Image.Resampling.BILINEAR), float), cut.shape

    shapes = {}
    for word in COLOURS:
        mask = ImageFont.load_default(60).getmask(word)
        shapes[word] = box(np.asarray(mask, np.uint8).reshape(mask.size[::-1]))
    for picture in pictures_of("stroop")[:60]:
        image, ink = stroop.write_word(picture)
        near = np.abs(np.asarray(image, int) - ink).sum(axis=-1) < 40
        seen, _ = box(255 * near.astype(np.uint8))
        likeness = {word: np.corrcoef(seen.ravel(), shape.ravel())[0, 1] for word, (shape, _) in shapes.items()}
        assert max(likeness, key=likeness.get) == picture["word"]


def test_yes_and_no_are_equally_often_true_of_each_kind_and_picture():
    of = collections.Counter((draft.details["kind"], draft.answer) for draft in DRAFTS["absent_objects"])
    assert of == {(kind, answer): 40 for kind in objects.KINDS for answer in ("yes", "no")}
    for picture in pictures_of("absent_objects"):
        mine = [draft for draft in DRAFTS["absent_objects"] if draft.picture == picture]
        assert [draft.answer for draft in mine].count("yes") == 3 == len(mine) / 2
        assert len({draft.question for draft in mine}) == 6
        for draft in mine:
            assert (draft.details["object"] in picture["objects"]) == (draft.answer == "yes")
            assert " ".join(draft.details["object"]) in draft.question


def test_the_objects_are_in_the_pixels_each_in_its_quarter(splits):
    for picture, path in zip(pictures_of("absent_objects"), paths_of(splits["absent_objects"]), strict=True):
        image, half = Image.open(path), picture["side"] // 2
        assert image.size == (picture["side"], picture["side"])
        for cell in range(4):
            down, across = divmod(cell, 2)
            quarter = image.crop((across * half, down * half, (across + 1) * half, (down + 1) * half))
            there = [picture["objects"][place][0] for place, other in enumerate(picture["cells"]) if other == cell]
            assert nearest_colours(quarter, 0.02) == set(there)


def test_absent_objects_are_ranked_as_in_pope_by_brute_force():
    world = objects.World(np.random.default_rng(3))
    contents = [set(picture) for picture in world.pictures]
    for picture in world.pictures[:20]:
        others = [one for one in objects.OBJECTS if one not in picture]
        often = {one: sum(one in content for content in contents) for one in others}
        together = {one: sum(sum(there in c for c in contents if one in c) for there in picture) for one in others}
        for kind, counts in (("popular", often), ("adversarial", together)):
            ranked = world.ranking(picture, kind)
            assert set(ranked) == set(others)
            assert [counts[one] for one in ranked] == sorted(counts.values(), reverse=True)
            rng = np.random.default_rng(0)
            assert {world.absent(picture, kind, (), rng) for _ in range(100)} == set(ranked[:3])
        assert set(world.ranking(picture, "random")) == set(others)


def test_what_misleads_is_false_and_the_question_else_the_same():
    triples = [DRAFTS["misleading"][start : start + 3] for start in range(0, 270, 3)]
    answered = collections.Counter()
    for plain, presupposed, leading in triples:
        assert plain.picture == presupposed.picture == leading.picture
        assert plain.answer == presupposed.answer == leading.answer
        asked = next(name for name, words in VOCABULARIES.items() if words == plain.candidates)
        answered[asked] += 1
        true = [plain.picture[name] for name in VOCABULARIES]
        assert plain.answer == plain.picture[asked]
        named = {word for words in VOCABULARIES.values() for word in words}
        said = [
            [word for word in draft.question.replace("?", "").replace(",", "").split() if word in named]
            for draft in (plain, presupposed, leading)
        ]
        assert said[0] == [] and len(said[1]) == 1 and said[2] == [leading.details["hint"]]
        assert said[1][0] not in true and said[2][0] not in true
        assert said[1][0] not in plain.candidates and said[2][0] in plain.candidates
        assert leading.question.endswith(plain.question)
    assert answered == {"colour": 30, "shape": 30, "background": 30}


def test_what_is_answerable_is_in_the_pixels(splits):
    asked = [item for item in splits["misleading"].queries if item.candidates == COLOURS]
    assert len(asked) == 90
    for item in asked:
        assert nearest_colours(Image.open(item.medium.path)) == {item.answer}


def test_only_the_ungrounded_are_to_be_declined():
    kinds = collections.Counter((draft.details["kind"], draft.answer == ABSTENTION) for draft in DRAFTS["ungrounded"])
    assert kinds == {("ungrounded", True): 120, ("answerable", False): 120}
    asked = collections.Counter(draft.details["asked"] for draft in DRAFTS["ungrounded"])
    assert {asked[text] for text in ungrounded.GUESSES} == {10} and {asked[name] for name in VOCABULARIES} == {40}
    for draft in DRAFTS["ungrounded"]:
        assert draft.candidates[-1] == ABSTENTION and len(set(draft.candidates)) == len(draft.candidates)
        if draft.details["kind"] == "answerable":
            assert draft.answer == draft.picture[draft.details["asked"]]


def test_prompts(splits):
    query, example = splits["stroop"].queries[0], splits["stroop"].support[0]
    assert zero_shot_prompt(query, ()) == "<image>Question: In which colour is the word written? Answer:"
    assert few_shot_prompt(query, [example]) == (
        f"<image>Question: In which colour is the word written? Answer: {example.answer}<EOC>"
        "<image>Question: In which colour is the word written? Answer:"
    )
    declined = splits["ungrounded"].support[0]
    assert few_shot_prompt(splits["absent_objects"].queries[0], [declined]).startswith(
        "<image>Question: How much does the picture cost? Answer: I don't know.<EOC><image>Question: Is there a"
    )
