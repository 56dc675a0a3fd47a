"""VQAv2, OK-VQA, VizWiz and TextVQA: their questions, what an example shows, and their score."""

import dataclasses
import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import okvqa, textvqa, visual_questions, vizwiz, vqav2
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from tests.evaluation.benchmarks.releases import okvqa as small_okvqa
from tests.evaluation.benchmarks.releases import textvqa as small_textvqa
from tests.evaluation.benchmarks.releases import vizwiz as small_vizwiz
from tests.evaluation.benchmarks.releases import vqav2 as small_vqav2


def _release(tmp_path, small) -> epath.Path:
    small.write(tmp_path)
    return epath.Path(tmp_path)


def _change(path: epath.Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_the_most_frequent_answer_is_the_first_of_equals():
    assert visual_questions.most_frequent(["b", "a", "a", "b", "c"]) == "b"
    assert visual_questions.most_frequent([]) == ""


def test_vqav2_joins_questions_and_answers_by_number(tmp_path):
    folder = _release(tmp_path, small_vqav2)
    items = vqav2.BENCHMARK.read(folder, "val")
    assert len(items) == 7
    item = items[0]
    assert item.key == "458762000"
    assert item.medium.path == f"{folder}/val2014/COCO_val2014_000000458762.jpg"
    assert item.prompt == "Question: How many squares are there? Answer:"
    assert item.answer == "1"
    assert item.references == ("one.", "one.", *["1"] * 6, "one.", "i don't know")
    assert item.details == {"question_type": "how many", "answer_type": "number"}


def test_vqav2_examples_show_the_answer_that_the_release_calls_most_frequent(tmp_path):
    folder = _release(tmp_path, small_vqav2)

    def change(content):
        content["annotations"][-1]["multiple_choice_answer"] = "chosen by the release"

    _change(folder / "v2_mscoco_val2014_annotations.json", change)
    assert vqav2.BENCHMARK.read(folder, "val")[0].answer == "chosen by the release"


def test_vqav2_test_splits_have_questions_alone(tmp_path):
    folder = _release(tmp_path, small_vqav2)
    dev, whole = (vqav2.BENCHMARK.read(folder, split) for split in ("test-dev", "test"))
    assert [item.key for item in whole][:6] == [item.key for item in dev]
    assert dev[0].medium.path == f"{folder}/test2015/COCO_test2015_000000458772.jpg"
    assert dev[0].references == () and dev[0].answer == "" and dev[0].details == {}
    with pytest.raises(ConfigError, match=r"VQAv2: 6 of 6 items, such as 458772000, have no public answers"):
        vqav2.BENCHMARK.score(dev, [Prediction("1")] * 6)
    sent = vqav2.BENCHMARK.server_answers(dev, [Prediction(" red")] * 6)
    assert sent[0] == {"question_id": 458772000, "answer": "red"} and len(sent) == 6


def test_vqav2_score_is_in_percent_and_by_type_of_answer(tmp_path):
    items = vqav2.BENCHMARK.read(_release(tmp_path, small_vqav2), "val")
    predictions = [Prediction("One." if item.details["answer_type"] == "number" else "purple") for item in items]
    score = vqav2.BENCHMARK.score(items, predictions)
    by_type = {}
    for item, value in zip(items, score.per_item, strict=True):
        by_type.setdefault(item.details["answer_type"], []).append(value)
    means = {kind: sum(values) / len(values) for kind, values in by_type.items()}
    assert score.parts == pytest.approx({**means, "openflamingo": score.value})
    assert score.parts["number"] == pytest.approx(100)  # "one." and "1" are alike once they are normalized
    assert score.value == pytest.approx(sum(score.per_item) / 7)


def test_where_all_answers_are_alike_only_openflamingos_figure_forgives_a_period(tmp_path):
    folder = _release(tmp_path, small_vqav2)

    def change(content):
        for annotation in content["annotations"]:
            for answer in annotation["answers"]:
                answer["answer"] = "net"

    _change(folder / "v2_mscoco_val2014_annotations.json", change)
    items = vqav2.BENCHMARK.read(folder, "val")
    score = vqav2.BENCHMARK.score(items, [Prediction("net.")] * 7)
    assert score.value == 0 and score.parts["openflamingo"] == pytest.approx(100)


def test_a_question_without_answers_and_one_with_two_are_named(tmp_path):
    folder = _release(tmp_path, small_vqav2)
    path = folder / "v2_mscoco_val2014_annotations.json"
    _change(path, lambda content: content["annotations"].append(content["annotations"][0]))
    with pytest.raises(ConfigError, match=r"val2014_annotations\.json has question 458765000 twice"):
        vqav2.BENCHMARK.read(folder, "val")
    _change(path, lambda content: content.update(annotations=content["annotations"][1:-1]))
    with pytest.raises(ConfigError, match=r"has no answers to question 458765000 .* both of one split"):
        vqav2.BENCHMARK.read(folder, "val")


def test_okvqa_shows_answers_as_written_and_compares_with_stems(tmp_path):
    folder = _release(tmp_path, small_okvqa)
    items = okvqa.BENCHMARK.read(folder, "val")
    assert len(items) == 6 and len(okvqa.BENCHMARK.read(folder, "train")) == 8
    item = items[0]
    assert item.key == "516265"
    assert item.medium.path == f"{folder}/val2014/COCO_val2014_000000051626.jpg"
    assert item.answer == "playing games"
    assert item.references == (
        *["play game"] * 2,
        *["teach"] * 4,
        *["draw triangle"] * 2,
        *["play game"] * 2,
    )


def test_okvqa_does_not_take_the_files_of_vqa_v1(tmp_path):
    folder = _release(tmp_path, small_okvqa)

    def change(content):
        for answer in content["annotations"][1]["answers"]:
            del answer["raw_answer"]

    _change(folder / "mscoco_val2014_annotations.json", change)
    with pytest.raises(ConfigError, match=r'question 516275, answers: there is no "raw_answer"'):
        okvqa.BENCHMARK.read(folder, "val")


def test_okvqa_compares_stems(tmp_path):
    items = okvqa.BENCHMARK.read(_release(tmp_path, small_okvqa), "val")
    score = okvqa.BENCHMARK.score(items, [Prediction("playing games")] * 6)
    assert score.per_item == pytest.approx([100.0] * 6)
    assert score.parts == pytest.approx({"other": 100.0})


def test_vizwiz_items(tmp_path):
    folder = _release(tmp_path, small_vizwiz)
    items = vizwiz.BENCHMARK.read(folder, "val")
    assert len(items) == 6 and len(vizwiz.BENCHMARK.read(folder, "train")) == 8
    assert items[1].key == "VizWiz_val_00000001.jpg"
    assert items[1].medium.path == f"{folder}/val/VizWiz_val_00000001.jpg"
    assert items[1].prompt == "Question: Ok. Can you tell me the color of this square? Thank you. Answer:"
    assert items[1].answer == "green"
    assert items[2].answer == "unanswerable"
    assert items[2].details == {"answer_type": "unanswerable", "answerable": 0}
    assert len(items[2].references) == 10


def test_vizwiz_annotations_may_lie_beside_the_pictures(tmp_path):
    folder = _release(tmp_path, small_vizwiz)
    (tmp_path / "Annotations" / "val.json").rename(tmp_path / "val.json")
    assert len(vizwiz.BENCHMARK.read(folder, "val")) == 6


def test_vizwiz_score_counts_unanswerable_as_an_answer(tmp_path):
    items = vizwiz.BENCHMARK.read(_release(tmp_path, small_vizwiz), "val")
    score = vizwiz.BENCHMARK.score(items, [Prediction("unanswerable")] * 6)
    figure = score.value
    by_rule = {"vqav2_rule": figure, "openflamingo": figure}
    assert score.parts == pytest.approx({"other": 90.0, "unanswerable": 100.0, **by_rule})
    assert figure == pytest.approx((4 * 90 + 2 * 100) / 6)


def test_vizwiz_is_scored_by_its_own_rule_and_by_those_of_others(tmp_path):
    items = vizwiz.BENCHMARK.read(_release(tmp_path, small_vizwiz), "val")
    alike = [dataclasses.replace(item, references=("red",) * 10) for item in items]
    score = vizwiz.BENCHMARK.score(alike, [Prediction("Red.")] * 6)
    assert (score.value, score.parts["vqav2_rule"], score.parts["openflamingo"]) == pytest.approx((100, 0, 100))
    dashed = [dataclasses.replace(item, references=("7-up",) * 9 + ("soda",)) for item in items]
    score = vizwiz.BENCHMARK.score(dashed, [Prediction("7-up, a can")] * 6)
    assert (score.value, score.parts["vqav2_rule"], score.parts["openflamingo"]) == pytest.approx((0, 0, 100))


def test_vizwiz_test_goes_to_the_server_by_picture(tmp_path):
    items = vizwiz.BENCHMARK.read(_release(tmp_path, small_vizwiz), "test")
    sent = vizwiz.BENCHMARK.server_answers(items, [Prediction("a can")] * 6)
    assert sent[5] == {"image": "VizWiz_test_00000005.jpg", "answer": "a can"}


def test_textvqa_items(tmp_path):
    folder = _release(tmp_path, small_textvqa)
    items = textvqa.BENCHMARK.read(folder, "val")
    assert len(items) == 6 and len(textvqa.BENCHMARK.read(folder, "train")) == 8
    assert items[0].key == "8"
    assert items[0].medium.path == f"{folder}/train_images/0054c91397f33e05.jpg"
    assert items[0].prompt == "Question: what is written on the orange square? Answer:"
    assert items[0].answer == "Nokia 3310"
    assert items[0].references == (
        "nokia",
        *["Nokia 3310"] * 5,
        "answering does not require reading text in the image",
        *["nokia"] * 3,
    )


def test_textvqa_takes_answers_as_objects_and_picture_names_with_their_ending(tmp_path):
    folder = _release(tmp_path, small_textvqa)
    before = textvqa.BENCHMARK.read(folder, "val")

    def change(content):
        for record in content["data"]:
            record["answers"] = [{"answer": text, "answer_id": place} for place, text in enumerate(record["answers"])]
            record["image_id"] += ".jpg"

    _change(folder / "TextVQA_0.5.1_val.json", change)
    assert textvqa.BENCHMARK.read(folder, "val") == before


def test_textvqa_normalizes_also_where_all_answers_are_alike(tmp_path):
    folder = _release(tmp_path, small_textvqa)

    def change(content):
        for record in content["data"]:
            record["answers"] = ["nokia"] * 10

    _change(folder / "TextVQA_0.5.1_val.json", change)
    items = textvqa.BENCHMARK.read(folder, "val")
    assert textvqa.BENCHMARK.score(items, [Prediction("Nokia.")] * 6).value == pytest.approx(100)


def test_textvqa_is_scored_by_its_own_rule_and_by_that_of_openflamingo(tmp_path):
    items = textvqa.BENCHMARK.read(_release(tmp_path, small_textvqa), "val")
    parted = [dataclasses.replace(item, references=("levi 's",) * 10) for item in items]
    score = textvqa.BENCHMARK.score(parted, [Prediction("Levi's")] * 6)
    assert score.value == pytest.approx(100) and score.parts == pytest.approx({"openflamingo": 0})


def test_textvqa_test_has_no_answers(tmp_path):
    items = textvqa.BENCHMARK.read(_release(tmp_path, small_textvqa), "test")
    assert all("/test_images/" in item.medium.path for item in items)
    assert textvqa.BENCHMARK.server_answers(items, [Prediction("x ")] * 6)[0] == {"question_id": 14, "answer": "x"}
