"""The page of a few-shot evaluation: which examples it shows, that it says what the rows say, and that it is safe."""

import html.parser
import itertools
import json
import random
import re

import numpy as np
import pytest
from PIL import Image as Picture

from flamingo_jax.evaluation import published
from flamingo_jax.evaluation.fewshot.page import render, write_page
from flamingo_jax.evaluation.fewshot.row_files import RowFiles
from tests.data.samples import encode_clip

HOSTILE = '<script>alert(1)</script><img src=x onerror=y> "quoted" & \u202egnp.exe \ud800'
AS_TEXT = HOSTILE.replace("\ud800", "?")
_VOID = {"meta", "img", "br", "link"}


class Reader(html.parser.HTMLParser):
    """The elements of a page with their attributes, and the text inside each."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        assert not self._open, "an element was left open"

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag, class_=None):
        return [
            ("".join(text), attributes)
            for name, attributes, text in self.elements
            if name == tag and (class_ is None or class_ in (attributes.get("class") or "").split())
        ]

    def texts(self, tag, class_=None):
        return [text for text, _ in self.all(tag, class_)]


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for number in range(4):
        Picture.new("RGB", (64 + 8 * number, 48), (40 * number, 90, 200)).save(folder / f"{number}.png")
    frames = [np.full((32, 48, 3), 8 * second, np.uint8) for second in range(20)]
    (folder / "clip.mp4").write_bytes(encode_clip(frames, 2))
    return folder


def row(key, share=None, shots=4, selection="random", seed=0, **more):
    support = [f"s{place}" for place in range(shots)]
    prompt = "<EOC>".join([*(f"<image>Question: which? Answer: {name}" for name in support), "<image>Question: now?"])
    common = {"key": key, "shots": shots, "selection": selection, "seed": seed, "support": support, "prompt": prompt}
    return {**common, "answer": f"said of {key}", "references": ["a", "b", "a"], "share": share, "media": None, **more}


def summary(results, **more):
    facts = {"benchmark": "vqav2", "title": "VQAv2", "metric": "VQA accuracy", "split": "val", "step": 12, "items": 9}
    return {**facts, "model": {"name": "mine"}, "decoding": {"beams": 3}, "results": results, **more}


def result(value, shots=4, selection="random", low=None, high=None, **more):
    seeds = [{"seed": 0, "value": value}]
    return {"shots": shots, "selection": selection, "value": value, "low": low, "high": high, "seeds": seeds, **more}


def shown(text):
    """Section -> keys of its cards."""
    sections = re.findall(r'<section id="(best|worst|any)"(.*?)</section>', text, re.DOTALL)
    return {name: re.findall(r"<article[^>]*><header><h3>(.*?)</h3>", body) for name, body in sections}


def test_a_third_are_the_best_a_third_the_worst_and_the_rest_any():
    rows = [row(f"k{place:02}", float(place)) for place in range(30)]
    cards = shown(render(summary([result(1.0)]), rows, {}, examples=9))
    assert cards["best"] == ["k29", "k28", "k27"] and cards["worst"] == ["k00", "k01", "k02"]
    assert len(cards["any"]) == 3 and len({key for keys in cards.values() for key in keys}) == 9


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_rows():
    rows = [row(f"k{place:02}", float(place % 2)) for place in range(40)]
    shuffled = random.Random(1).sample(rows, len(rows))
    first = shown(render(summary([result(1.0)]), rows, {}, examples=12))
    assert shown(render(summary([result(1.0)]), [*shuffled, *rows[:5]], {}, examples=12)) == first
    assert shown(render(summary([result(1.0)]), rows, {}, examples=12, seed=1)) != first
    shares = {one["key"]: one["share"] for one in rows}
    assert {shares[key] for key in first["best"]} == {1.0} and {shares[key] for key in first["worst"]} == {0.0}
    assert first["best"] != sorted(first["best"])  # equals are drawn, not the first of the release


def test_few_rows_are_shown_once_each():
    rows = [row(f"k{place}", float(place)) for place in range(4)]
    cards = shown(render(summary([result(1.0)]), rows, {}, examples=30))
    assert sorted(key for keys in cards.values() for key in keys) == ["k0", "k1", "k2", "k3"]


def test_the_most_shots_and_the_better_selection_are_shown_and_the_others_stand_below():
    settings = [(0, "random"), (4, "random"), (8, "random"), (8, "rices")]
    rows = [
        row("k", 10.0 * shots, shots, selection, seed, answer=f"{shots} {selection} {seed}")
        for seed in (1, 0)
        for shots, selection in settings
    ]
    results = [result(50.0 + (selection == "rices"), shots, selection) for shots, selection in settings]
    page = Reader(render(summary(results), rows, {}))
    assert page.texts("p", "answer") == ["8 rices 0"]
    assert [re.sub(r"\.0$", "", line) for line in page.texts("tr")[-3:]] == [
        "0 shots0 random 00",
        "4 shots4 random 040",
        "8 shots8 random 080",
    ]


def test_where_shares_are_unknown_margins_decide():
    def ranked(key, true_score):
        candidates = [
            {"text": "yes", "score": true_score, "rank": 1, "true": True},
            {"text": "no", "score": -2.0, "rank": 2},
        ]
        return row(key, None, answer=None, candidates=candidates, candidates_total=2)

    rows = [ranked(f"k{place}", -float(place)) for place in range(6)]
    text = render(summary([result(1.0)]), rows, {}, examples=6)
    cards = shown(text)
    assert cards["best"] == ["k0", "k1"] and cards["worst"] == ["k5", "k4"] and len(cards["any"]) == 2
    assert "margin of the true candidate" in text
    assert "margin +2.00 nats" in Reader(text).texts("p", "share")


def test_rows_are_gone_through_twice_and_not_held():
    class Rows:
        passes = 0

        def __iter__(self):
            Rows.passes += 1
            yield from (row(f"k{place}", float(place)) for place in range(50))

    render(summary([result(1.0)]), Rows(), {})
    assert Rows.passes == 2


def test_hostile_text_stays_text():
    candidates = [{"text": HOSTILE, "score": -1.0, "rank": 1, "true": True}]
    rows = [
        row(
            HOSTILE,
            1.0,
            answer=HOSTILE,
            answer_uncut=HOSTILE + "x",
            references=[HOSTILE],
            prompt=HOSTILE,
            support=[HOSTILE],
        ),
        row("k2", 0.5, answer=None, candidates=candidates, references=[]),
        row("k2", 0.5, shots=0, support_shown=False, answer=HOSTILE),
    ]
    facts = summary(
        [result(1.0, parts={HOSTILE: 3.0}), result(1.0, 0)],
        title=HOSTILE,
        metric=HOSTILE,
        model={"name": HOSTILE, HOSTILE: HOSTILE},
        decoding={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        split=HOSTILE,
        baselines=[{"name": HOSTILE, "shots": 4, "value": 1.0}],
    )
    text = render(facts, rows, {HOSTILE: {"path": f"/{HOSTILE}"}})
    text.encode("utf-8")
    page = Reader(text)
    known = {name for name, _, _ in page.elements}
    assert not known & {"script", "iframe", "link", "object", "embed", "form", "base"}
    for name, attributes, _ in page.elements:
        assert not {key for key in attributes if key.startswith("on")}, name
        assert name != "img" or attributes["src"].startswith("data:image/")
        assert name != "a" or attributes["href"].startswith("#")
    assert not re.search(r"""(src|href)=["'](?!data:image/|#)|url\(|@import|https?:""", text)
    (policy,) = [attributes["content"] for _, attributes in page.all("meta") if "http-equiv" in attributes]
    assert policy.startswith("default-src 'none'")
    flat = " ".join(AS_TEXT.split())
    assert page.texts("p", "answer") == [AS_TEXT] and AS_TEXT in page.texts("h3")
    for found in (page.texts("li"), page.texts("pre"), page.texts("dd"), page.texts("bdi"), page.texts("th")):
        assert any(flat in " ".join(one.split()) for one in found)


def test_pictures_clips_and_what_cannot_be_shown(media):
    (media / "broken.png").write_bytes(b"no picture")
    rows = [
        row("still", 3.0, media={"path": str(media / "0.png"), "video": False, "span": None}),
        row("clip", 2.0, media={"path": str(media / "clip.mp4"), "video": True, "span": [2.0, 4.5]}),
        row("gone", 1.0, media={"path": str(media / "nowhere.png"), "video": False, "span": None}),
        row("broken", 0.0, media={"path": str(media / "broken.png"), "video": False, "span": None}),
    ]
    support = {f"s{place}": {"path": str(media / f"{place}.png"), "video": False, "span": None} for place in range(3)}
    page = Reader(render(summary([result(1.0)]), rows, support, examples=4))
    frames = [attributes for _, attributes in page.all("img") if attributes["alt"] == "clip.mp4"]
    assert len(frames) == 3 and len({one["src"] for one in frames}) == 3  # of the span's 2.5 seconds, one a second
    missing = page.all("div", "missing")
    large = [attributes["title"] for _, attributes in missing if "stamp" not in attributes["class"]]
    assert sorted(told.partition(":")[0] for told in large) == ["broken.png", "nowhere.png"]
    assert len(missing) - len(large) == len(rows)  # s3 is not in the support set's pictures
    stamps = [attributes for _, attributes in page.all("img") if attributes["alt"] == "1.png"]
    assert len(stamps) == len(rows)


def test_the_examples_stand_with_their_texts_in_the_prompts_order():
    page = Reader(render(summary([result(1.0)]), [row("k", 1.0)], {}))
    assert page.texts("figcaption") == [f"Question: which? Answer: s{place}" for place in range(4)]
    assert page.texts("pre") == [row("k")["prompt"]]
    assert page.texts("b", "tag") == ["<image>", "<EOC>"] * 4 + ["<image>"]
    odd = row("k", 1.0, prompt="Question: <EOC>? <EOC>")
    assert Reader(render(summary([result(1.0)]), [odd], {})).texts("figcaption") == []


def test_zero_shot_prompts_say_that_their_examples_are_text_only():
    only = row("k", 1.0, shots=0, support=["s0", "s1"], support_shown=False, prompt="A<EOC>B<EOC><image>C")
    page = Reader(render(summary([result(1.0, 0)]), [only], {}))
    assert "2 examples in the prompt, without their pictures" in page.texts("h4")
    assert page.texts("figcaption") == ["A", "B"] and not page.all("div", "stamp")


def test_candidates_and_references():
    candidates = [{"text": f"c{rank}", "score": -float(rank), "rank": rank, "true": rank == 9} for rank in (1, 2, 9)]
    rows = [row("k", 0.0, answer=None, candidates=candidates, candidates_total=1000)]
    page = Reader(render(summary([result(1.0)]), rows, {}))
    (table,) = page.texts("table", "candidates")
    assert table == "of 1,000, by log-likelihood in nats1c1−1.002c2−2.00⋯9c9 ✓ true−9.00"
    widths = [attributes["style"] for _, attributes in page.all("span", "fill")]
    assert widths == [f"width:{100 * np.exp(-gap):.1f}%" for gap in (0, 1, 8)]
    assert page.texts("ul", "references") == ["a × 2b"]
    page = Reader(render(summary([result(1.0)]), [row("k", None, references=[])], {}))
    assert "kept back by the release" in page.texts("p", "absent")


def test_the_drawing_has_every_line_at_its_height():
    results = [result(40.0, 0, low=38.0, high=42.0), result(60.0, 4), result(64.0, 4, "rices")]
    page = Reader(render(summary(results, baselines=[{"name": "blind", "shots": 4, "value": 20.0}]), [], {}))
    few_shot = [one for one in published.figures("vqav2") if one.values]
    assert len(page.all("g", "series")) == 3 + len(few_shot)
    assert len(page.all("g", "dashed")) == 1 + sum(one.how != "random support" for one in few_shot)
    heights = {}
    for (_, _, told), (name, attributes, _) in itertools.pairwise(page.elements):
        if name == "circle":
            heights[float(re.search(r"shots: ([\d.]+)", "".join(told))[1])] = float(attributes["cy"])
    values, pixels = np.array(list(heights)), np.array(list(heights.values()))
    slope, offset = np.polyfit(values, pixels, 1)
    assert slope < 0
    np.testing.assert_allclose(slope * values + offset, pixels, atol=0.6)  # figures have one decimal, so have pixels
    assert {20.0, 40.0, 60.0, 64.0, 67.6} <= set(values)
    assert "mine, 0 shots: 40.0 (38.0 to 42.0)" in page.texts("title")
    assert len(page.all("path", "reach")) == 1


def test_the_table_and_the_sentence_say_the_same():
    results = [
        result(40.0, 0, low=38.0, high=42.0, interval="3 seeds"),
        result(64.04, 4, "rices", low=63.0, high=65.2, interval="3 seeds"),
    ]
    page = Reader(render(summary(results, missing=2), [], {}))
    (verdict,) = page.texts("p", "verdict")
    assert verdict == (
        "mine at step 12 reaches VQA accuracy 64.0 (95% interval 63.0 to 65.2, 3 seeds) with 4 examples by RICES, "
        "on 9 items of val. That is +24.0 beside 40.0 without examples."
    )
    assert page.texts("p", "remark") == ["2 items were left out because their pictures or clips are missing."]
    lines = page.texts("tr")
    assert lines[0] == "0481632"
    assert "mine, RICES–64.063.0 to 65.2–––" in lines and "mine40.038.0 to 42.0––––" in lines
    assert "Flamingo-80B56.363.165.666.867.6" in lines
    assert any(line.startswith("state of the art, fine-tuned") and line.endswith("80.2") for line in lines)


@pytest.mark.parametrize(
    "results, benchmark, told",
    [
        ([], "vqav2", "the references of this split are kept back"),
        ([result(None)], "vqav2", "the references of this split are kept back"),
        ([result(float("nan"))], "embedded_web", "There is no value to show."),
        ([result(3.0)], "embedded_web", "Nothing published is known of this benchmark."),
        ([result(3.0)], "rareact", "mine at step 12 reaches VQA accuracy 3.0 with 4 examples"),
    ],
)
def test_what_is_missing_is_said(results, benchmark, told):
    text = render(summary(results, benchmark=benchmark), [], {})
    Reader(text)
    assert told in text and "There are no rows to show." in text


def test_files_of_rows(tmp_path):
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text(
        json.dumps(row("k\u2028\u0085", 1.0), ensure_ascii=False) + "\n" + json.dumps(row("k2")) + "\n", "utf-8"
    )
    second.write_text(json.dumps(row("k3")) + "\n" + json.dumps(row("torn"))[:40])
    rows = RowFiles([first, second])
    assert [one["key"] for one in rows] == ["k\u2028\u0085", "k2", "k3"] == [one["key"] for one in rows]
    second.write_text(json.dumps(row("k3")) + "\n[1]\n" + json.dumps(row("k4")) + "\n")
    with pytest.raises(ValueError, match=r"b\.jsonl, line 2 is not a row"):
        list(rows)
    with pytest.raises(OSError):
        list(RowFiles([tmp_path / "nowhere.jsonl"]))


def test_the_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "page.html"
    assert write_page(path, summary([result(1.0)]), [row("k", 1.0)], {}) == path
    before = path.read_text()
    assert before.startswith("<!doctype html>") and before.endswith("</html>\n")

    class Torn:
        def __iter__(self):
            yield row("k", 1.0)
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_page(path, summary([result(2.0)]), Torn(), {})
    assert path.read_text() == before and [one.name for one in tmp_path.iterdir()] == ["page.html"]
