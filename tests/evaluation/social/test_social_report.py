"""The report of an evaluation: figures, the page, and what stands beside them."""

import html.parser
import json

import numpy as np
import pytest
from scipy import stats

from flamingo_jax.evaluation.social import report
from flamingo_jax.evaluation.social.captions import read_evaluation
from flamingo_jax.evaluation.social.histogram import histogram
from flamingo_jax.evaluation.social.scores import write_requests
from flamingo_jax.evaluation.social.text import table
from tests.evaluation.social.toy import caption, cider, write_evaluation, write_groups, write_lines

ALL = range(40)
FEMALE, MALE = [n for n in ALL if n % 2 == 0], [n for n in ALL if n % 2]


def make(folder, **options):
    evaluation = read_evaluation(folder / "of", 0, "random", 0)
    return report.write_report(evaluation, folder / "made" / "anew", shots=0, support="random", seed=0, **options)


@pytest.fixture
def folder(tmp_path):
    write_evaluation(tmp_path / "of")
    return tmp_path


def test_groups_have_their_means_and_differences(folder):
    found = make(folder, groups=write_groups(folder / "groups.csv"))
    gender, skin = found["attributes"]
    assert [group["name"] for group in gender["groups"]] == ["female", "male"]
    assert [group["captions"] for group in gender["groups"]] == [20, 20]
    assert gender["groups"][0]["cider"] == pytest.approx(np.mean([cider(n) for n in FEMALE]))
    (pair,) = gender["pairs"]
    expected = stats.ttest_ind([cider(n) for n in FEMALE], [cider(n) for n in MALE], equal_var=False)
    assert pair["p"] == pytest.approx(expected.pvalue)
    assert (pair["low"], pair["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert skin["annotated"] == sum(n % 3 > 0 for n in ALL)
    assert found["evaluation"]["cider"] == pytest.approx(np.mean([cider(n) for n in ALL]))
    assert json.loads((folder / "made" / "anew" / "report.json").read_text()) == found
    assert found["toxicity"] is None


def test_the_papers_figures_stand_beside_those_of_coco(folder):
    found = make(folder, groups=write_groups(folder / "groups.csv"))
    text = table(found)
    assert "COCO, split test: 40 captions at 0 shots" in text
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["female"][-2:] == ["0.899", "1.172"]
    assert lines["darker − lighter"][-2:] == ["+0.091", "−0.025"]
    assert lines["all captions"][-2:] == ["0.843", "1.138"]
    assert "table 12" in text
    page = (folder / "made" / "anew" / "report.html").read_text()
    assert "AoANet +0.0019" in page and "+0.029" in page


def test_no_figures_of_the_paper_beside_other_sets_or_groups(folder):
    write_evaluation(folder / "of", benchmark="flickr30k", title="Flickr30K")
    found = make(folder, groups=write_groups(folder / "groups.csv"))
    assert all(one["published"] is None for one in found["attributes"])
    assert "Flamingo-80B" not in table(found)


def test_several_groups_are_compared_in_all_pairs(folder):
    records = [{"key": n, "age": ["child", "adult", "old", None][n % 4]} for n in ALL]
    found = make(folder, groups=write_lines(folder / "groups.jsonl", records))
    (age,) = found["attributes"]
    assert [(pair["first"], pair["second"]) for pair in age["pairs"]] == [
        ("adult", "child"),
        ("adult", "old"),
        ("child", "old"),
    ]
    assert age["published"] is None and age["annotated"] == 30


def test_requests_come_back_as_scores(folder):
    evaluation = read_evaluation(folder / "of", 0, "random", 0)
    assert write_requests(folder / "asked" / "requests.jsonl", evaluation.captions) == 40
    asked = [json.loads(line) for line in (folder / "asked" / "requests.jsonl").read_text().splitlines()]
    assert asked[3] == {"key": "3", "text": caption(3)}
    scored = [{**one, "score": int(one["key"]) / 40} for one in asked]
    found = make(folder, toxicity=write_lines(folder / "scores.jsonl", scored))["toxicity"]
    assert (found["scored"], found["unscored"], found["flagged"]) == (40, 0, 20)
    assert found["share"] == 0.5 and found["low"] < 0.5 < found["high"]
    assert found["bins"] == [2] * 20
    assert [one["key"] for one in found["captions"][:2]] == ["39", "38"]


def test_captions_without_a_word_are_not_sent(folder):
    rows = [{"key": "a", "answer": " ", "share": 0}, {"key": "b", "answer": "b\ud800", "share": 0}]
    write_evaluation(folder / "of", items=2)
    write_lines(folder / "of" / "rows" / "random-0-0.jsonl", rows)
    evaluation = read_evaluation(folder / "of", 0, "random", 0)
    assert write_requests(folder / "requests.jsonl", evaluation.captions) == 1
    scored = [{**json.loads((folder / "requests.jsonl").read_text()), "score": 1}]
    found = make(folder, toxicity=write_lines(folder / "scores.jsonl", scored))["toxicity"]
    assert (found["scored"], found["unscored"], found["flagged"]) == (1, 1, 1)


def test_scores_of_texts_count_for_each_caption_of_that_text(folder):
    write_lines(
        folder / "of" / "rows" / "random-0-0.jsonl", [{"key": str(n), "answer": f"t{n % 2}", "share": 0} for n in ALL]
    )
    scores = [{"text": "t0", "score": 0.9}, {"text": "t0", "score": 0.9}, {"text": "t1", "score": 0.1}]
    found = make(folder, toxicity=write_lines(folder / "scores.jsonl", scores), threshold=0.9)["toxicity"]
    assert (found["scored"], found["flagged"], found["threshold"]) == (40, 20, 0.9)


def test_keys_of_other_pictures_can_be_left_out(folder):
    write_groups(folder / "groups.csv", 100)
    scores = write_lines(folder / "scores.jsonl", [{"key": n, "score": 0} for n in range(50)])
    found = make(folder, groups=folder / "groups.csv", toxicity=scores, skip_unknown=True)
    assert found["unknown_keys"] == {"groups": 60, "toxicity": 10}
    assert "60 keys of the file of groups are of no picture here" in table(found)
    assert found["toxicity"]["captions"] == []


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.open = set(), []

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_escapes_what_is_the_users(folder):
    hostile = "<script>alert(1)</script>"
    write_evaluation(folder / "of", title=hostile, model={"name": hostile})
    records = [{"key": n, hostile: [hostile, "<img src=x>\ud800"][n % 2]} for n in ALL]
    groups = write_lines(folder / "groups.jsonl", records)
    found = make(folder, groups=groups, toxicity=write_lines(folder / "s.jsonl", [{"key": n, "score": 1} for n in ALL]))
    page = (folder / "made" / "anew" / "report.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert not tags.open and not tags.seen & {"script", "img", "b"}
    assert "&lt;script&gt;" in page and "&lt;b&gt;picture&lt;/b&gt; &amp; 39" in page
    table(found).encode()


@pytest.mark.parametrize("counts, threshold", [([0] * 19 + [1], 0.5), ([5000] + [0] * 19, 0.0), ([3] * 20, 1.0)])
def test_histograms_stay_in_their_frame(counts, threshold):
    drawn = histogram(counts, threshold)
    heights = [float(part.split('"')[1]) for part in drawn.split("height=")[1:]]
    assert len(heights) == 20 and all(0 <= height <= 166 for height in heights)
    assert drawn.count("bar flagged") == {0.5: 10, 0.0: 20, 1.0: 0}[threshold]
