"""MSVD-QA, MSRVTT-QA and iVQA: questions about clips with short answers."""

import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import ivqa, msrvtt_qa, msvd_qa, short_answers
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from tests.evaluation.benchmarks.releases import ivqa as ivqa_release
from tests.evaluation.benchmarks.releases import msrvtt_qa as msrvtt_release
from tests.evaluation.benchmarks.releases import msvd_qa as msvd_release


@pytest.fixture
def folder(tmp_path):
    return epath.Path(tmp_path)


def test_msvd_questions_name_clips_by_number(folder):
    msvd_release.write(folder)
    items = msvd_qa.read(folder, "train")
    assert [item.key for item in items] == [str(number) for number in range(9)]
    assert items[0].prompt == "Question: what is a man doing? Answer:"
    assert items[0].answer == "ride" and items[0].references == ("ride",)
    assert items[0].medium.path == f"{folder}/YouTubeClips/-4aaaaaaaBc_5_15.avi" and items[0].medium.span is None
    assert items[3].medium.path == f"{folder}/YouTubeClips/-7KbbbbbbbW_205_208.avi"
    test = msvd_qa.read(folder, "test")
    assert [item.key for item in test] == [str(number) for number in range(11, 19)]  # numbers go on over the splits
    assert [item.details["type"] for item in test[:6]] == ["what", "who", "where", "how", "who", "other"]
    assert [item.details["in_vocabulary"] for item in test[:5]] == [True, False, True, True, False]


def test_msrvtt_clips_lie_in_two_folders_or_in_one(folder):
    msrvtt_release.write(folder)
    assert msrvtt_qa.read(folder, "train")[3].medium.path == f"{folder}/TrainValVideo/video2.mp4"
    test = msrvtt_qa.read(folder, "test")
    assert test[0].medium.path == f"{folder}/TestVideo/video7010.mp4"
    assert test[0].prompt == "Question: what is a woman doing? Answer:" and test[0].answer == "talk"
    (folder / "videos").mkdir()
    (folder / "TestVideo").rename(folder / "videos" / "all")
    assert msrvtt_qa.read(folder, "test")[0].medium.path == f"{folder}/videos/all/video7010.mp4"


def test_top1_counts_answers_of_the_vocabulary(folder):
    msvd_release.write(folder)
    items = msvd_qa.read(folder, "test")
    said = ["ride", "boy", " garden\n", "three", "Dog", "woman", "play.", "woman"]
    score = msvd_qa.score(items, [Prediction(text) for text in said])
    # "boy" is right, but no training question has it; "Dog" and "play." are not the answers letter by letter.
    assert score.per_item == (100, 0, 100, 0, 0, 100, 0, 100) and score.value == 50
    assert score.parts == {
        "how": 0,
        "other": 100,
        "what": 50,
        "where": 100,
        "who": pytest.approx(100 / 3),
        "any answer": 62.5,
    }


def test_vocabulary_is_the_most_frequent_training_answers(folder, monkeypatch):
    """Of answers that are as frequent as one another, those that come first, as in the official preparation."""
    msvd_release.write(folder)
    monkeypatch.setattr(short_answers, "VOCABULARY_SIZE", 2)
    known = [item.answer for item in msvd_qa.read(folder, "train") if item.details["in_vocabulary"]]
    assert known == ["ride", "woman", "woman"]


def test_a_clip_without_a_name_is_an_error(folder):
    msvd_release.write(folder)
    lines = (folder / "youtube_mapping.txt").read_text().splitlines()
    (folder / "youtube_mapping.txt").write_text("\n".join(lines[:4]))
    with pytest.raises(
        ConfigError, match=r"youtube_mapping.txt has no line for vid1301, which test_qa.json asks about"
    ):
        msvd_qa.read(folder, "test")


@pytest.mark.parametrize(
    ("name", "value"), [("answer", 3), ("video_id", "video7010"), ("id", None), ("question", None)]
)
def test_records_of_another_kind_are_named(folder, name, value):
    msrvtt_release.write(folder)
    records = json.loads((folder / "test_qa.json").read_text())
    records[2][name] = value
    (folder / "test_qa.json").write_text(json.dumps(records))
    with pytest.raises(ConfigError, match=f'test_qa.json, record 2: "{name}"'):
        msrvtt_qa.read(folder, "test")


@pytest.mark.parametrize("content", ["{}", "[]", '"text"'])
def test_a_file_that_is_no_list_is_named(folder, content):
    msrvtt_release.write(folder)
    (folder / "val_qa.json").write_text(content)
    with pytest.raises(ConfigError, match=r"val_qa.json is not a list of records"):
        msrvtt_qa.read(folder, "val")


def test_ivqa_has_five_answers(folder):
    ivqa_release.write(folder)
    items = ivqa.read(folder, "train")
    assert items[0].answer == "butter" and items[0].references == ("butter", "butter", "oil", "butter", "oil")
    assert items[1].prompt == "Question: What tool is used, at the end of the video, to cut? Answer:"
    assert items[2].prompt == 'Question: What does the word "sand" mean here? Answer:'
    assert items[2].medium.path == f"{folder}/video/-tr_cccccc-3.webm"
    test = ivqa.read(folder, "test")
    assert [item.key for item in test[2:4]] == ["te_ccccccc-3", "te_ccccccc-3#2"]
    # Once in all of training is not enough: "scissors" and "parsnip" are no answers, "knife" and "carrot" are.
    assert [item.details["vocabulary"] for item in test[:4]] == [["oil", "butter"], ["carrot"], ["knife"], []]


def test_ivqa_finds_clips_in_either_folder(folder):
    ivqa_release.write(folder)
    (folder / "video").rename(folder / "videos")
    assert ivqa.read(folder, "val")[0].medium.path == f"{folder}/videos/va_aaaaaaa-1.mp4"


def test_ivqa_counts_people(folder):
    ivqa_release.write(folder)
    items = ivqa.read(folder, "test")
    said = ["oil", "carrot ", "scissors", "bowl", "floor", "water", "blue"]
    score = ivqa.score(items, [Prediction(text) for text in said])
    assert score.per_item == (50, 100, 0, 0, 0, 100, 50) and score.value == pytest.approx(300 / 7)
    assert score.parts == {"any answer": pytest.approx(500 / 7)}
