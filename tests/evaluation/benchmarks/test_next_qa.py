import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import next_qa
from flamingo_jax.evaluation.benchmarks.benchmark import Prediction
from tests.evaluation.benchmarks.releases.next_qa import write


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return epath.Path(tmp_path)


def test_questions_find_their_videos_and_second_answers(folder):
    items = next_qa.read(folder, "test")
    assert [item.details["type"] for item in items] == ["CW", "CH", "TN", "TP", "TC", "DC", "DB", "DL", "DO"]
    first, last = items[0], items[-1]
    assert first.key == "6233408665_0" and first.prompt == "Question: why is the man waving Answer:"
    assert first.answer == "to greet the lady" and first.references == ("to greet the lady", "say hello")
    assert first.medium.path == f"{folder}/NExTVideo/1150/6233408665.mp4" and first.medium.span is None
    assert last.key == "13884570753_5" and last.references == ("a red hat",)
    assert last.medium.path == f"{folder}/NExTVideo/1164/13884570753.mp4"
    assert [len(item.references) for item in items] == [2, 2, 2, 2, 1, 1, 1, 1, 1]
    assert items[5].answer == "3"
    assert all(len(item.references) == 1 for item in next_qa.read(folder, "train"))


def test_second_answers_are_for_some_questions_of_a_video(folder):
    path = folder / "add_reference_answer_test.json"
    path.write_text(json.dumps({"6233408665": {"1": "giggle"}}))
    assert [len(item.references) for item in next_qa.read(folder, "test")[:4]] == [1, 1, 2, 1]


def test_second_answers_of_another_kind_are_named(folder):
    (folder / "add_reference_answer_test.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"add_reference_answer_test\.json is not an object of videos"):
        next_qa.read(folder, "test")


def test_score_is_by_type(folder):
    pytest.importorskip("nltk")
    items = next_qa.read(folder, "test")
    said = [item.references[-1] for item in items]  # the second answer where there is one
    said[5], said[6], said[7] = "4", "yes", "dining room"
    score = next_qa.score(items, [Prediction(text) for text in said])
    assert score.per_item[:7] == (100, 100, 100, 100, 100, 0, 0) and score.per_item[8] == 100
    assert 0 < score.per_item[7] < 100  # rooms are alike
    assert score.value == pytest.approx(sum(score.per_item) / 9)
    parts = score.parts
    assert {name: parts[name] for name in ("CW", "CH", "WUPS_C", "TPN", "TC", "WUPS_T", "DB", "DC")} == {
        **dict.fromkeys(("CW", "CH", "WUPS_C", "TPN", "TC", "WUPS_T"), 100),
        **dict.fromkeys(("DB", "DC"), 0),
    }
    assert parts["DL"] == pytest.approx(score.per_item[7]) and parts["DO"] == 100
    assert parts["WUPS_D"] == pytest.approx((score.per_item[7] + 100) / 4)
    assert parts["WUPS@0.9"] <= score.value


def test_a_video_without_a_place_is_named(folder):
    path = folder / "map_vid_vidorID.json"
    places = json.loads(path.read_text())
    del places["13884570753"]
    path.write_text(json.dumps(places))
    with pytest.raises(ConfigError, match=r"map_vid_vidorID.json, question 0 of video 13884570753"):
        next_qa.read(folder, "test")


def test_the_multiple_choice_edition_is_refused(folder):
    """Its files have the same names; answers are numbers of choices there, and types the same."""
    path = folder / "val.csv"
    header = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
    path.write_text(f"{header}\n3238737531,300,640,480,where is the cat,1,0,DL,bed,sofa,table,floor,chair\n")
    with pytest.raises(ConfigError, match="multiple-choice"):
        next_qa.read(folder, "val")
