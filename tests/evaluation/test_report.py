"""The report: complete, harmless and readable whatever the run left behind."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from PIL import Image

from flamingo_jax.evaluation.report import write_report
from flamingo_jax.evaluation.report.metrics_log import read_metrics

VOID = {"meta", "img"}
SUMMARY = {
    "loss_first": 5.02,
    "loss_last": 1.73,
    "heldout_nll_matched": 0.312,
    "heldout_nll_shuffled_images": 1.184,
    "heldout_nll_frozen_lm": 2.93,
    "heldout_accuracy": 0.91,
    "heldout_accuracy_blind": 0.31,
    "params_trainable": 29_612_345,
    "params_frozen": 139_204_224,
    "tokens_per_second": 1234.0,
    "seconds": 552.3,
    "heldout_examples": 3,
}


class Page(HTMLParser):
    """The elements and texts of a page; an end tag that does not fit is an error."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def with_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        return [(tag, attrs) for tag, attrs in self.elements if name in (attrs.get("class") or "").split()]


def png(colour: tuple[int, ...], size: tuple[int, int] = (48, 32)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def metrics_line(step: int, **more: object) -> dict[str, object]:
    line = {"step": step, "loss": 4.0 / step, "loss/m3w": 3.0 / step, "loss/pairs": 2.0 / step, "learning_rate": 1e-3}
    line |= {"grad_norm": 1.0, "tokens_per_second": 900.0, "step_seconds": 2.5, "skipped/m3w": int(step == 3)}
    line |= {f"gate/{branch}/{layer}": 0.1 * layer for branch in ("attention", "dense") for layer in range(4)}
    return line | more


def write_lines(path: Path, lines: list[object]) -> None:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    workdir = tmp_path / "quickstart"
    (workdir / "images").mkdir(parents=True)
    (workdir / "images" / "a.png").write_bytes(png((200, 30, 30)))
    write_lines(workdir / "metrics.jsonl", [metrics_line(step) for step in range(1, 61)])
    (workdir / "summary.json").write_text(json.dumps(SUMMARY))
    (workdir / "config.json").write_text(json.dumps({"seed": 7, "model": {"resampler": {"num_latents": 16}}}))
    example = {
        "source": "images/a.png",
        "image": "images/a.png",
        "wrong_image": base64.b64encode(png((0, 0, 255))).decode(),
        "truth": "A red star on a striped background.",
        "answer": "A red circle on a striped background.",
        "answer_wrong_image": "A blue circle on a plain background.",
        "attributes": {"colour": ["red", "red"], "shape": ["star", "circle"], "size": ["large", None]},
        "nll": 0.25,
        "nll_wrong_image": 1.5,
    }
    content = {"examples": [example] * 3, "accuracy": {"colour": 0.9}, "accuracy_blind": {"colour": 0.2}}
    (workdir / "heldout.json").write_text(json.dumps(content))
    return workdir


def page_of(workdir: Path, **options: object) -> Page:
    return Page(write_report(workdir, **options).read_text())


def test_a_whole_run_is_reported_in_one_file_that_loads_nothing(run: Path):
    path = write_report(run)
    assert path == epath.Path(run) / "report.html"
    source = path.read_text()
    page = Page(source)
    assert not re.search(r"https?:|//[a-z]|url\(|@import", source.replace("data:image", ""))
    for tag, attrs in page.elements:
        assert tag not in {"script", "link", "iframe", "object"}
        assert all(not name.startswith("on") for name in attrs)
        assert (attrs.get("src") or "data:").startswith("data:")
        assert (attrs.get("href") or "#").startswith("#")
    anchors = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    assert {attrs["href"].removeprefix("#") for _, attrs in page.elements if "href" in attrs} <= anchors
    assert all(attrs.get("alt") for tag, attrs in page.elements if tag == "img")
    assert all(attrs.get("aria-label") for tag, attrs in page.elements if attrs.get("role") == "img")
    assert len(anchors) == sum("id" in attrs for _, attrs in page.elements)


def test_the_headline_states_the_two_gains_and_the_figures_with_units(run: Path):
    text = page_of(run).text
    assert "0.87 nats likelier than a shuffled image" in text
    assert "+0.87 nats a token over a shuffled image" in text
    assert "+60 points over the blind baseline" in text
    for figure in (
        "29.6 million",
        "18% of all",
        "139 million",
        "1,234 tokens/s",
        "9 min 12 s",
        "0.31 shuffled",
        "2.93",
    ):
        assert figure in text, figure
    assert "heldout examples 3" in text


def test_no_gain_is_said_plainly(run: Path):
    (run / "summary.json").write_text(json.dumps({"heldout_nll_matched": 2.1, "heldout_nll_shuffled_images": 2.05}))
    text = page_of(run).text
    assert "the right image helps no more than a shuffled one" in text
    assert "−0.05 nats a token over a shuffled image" in text
    assert "times as probable" not in text


def test_every_input_may_be_absent(tmp_path: Path):
    text = page_of(tmp_path).text
    for sentence in (
        "There is no summary.json",
        "There is no heldout.json",
        "There is no metrics.jsonl",
        "No gate was logged",
        "No record of what the data pipelines dropped was given",
        "There is no config.json",
    ):
        assert sentence in text


def test_a_missing_workdir_is_one_clear_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is not a directory; give the --workdir"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '"text"', "\xff\xfe", '{"examples": 3, "accuracy": [1]}', "{}"])
def test_damaged_files_are_left_out_and_named(run: Path, content: str):
    names = ("summary.json", "heldout.json", "config.json")
    for name in names:
        (run / name).write_bytes(content.encode("latin-1"))
    text = page_of(run).text
    damaged = not content.startswith("{") or content == "{"
    assert all((f"{name} " in text and "Notes on the inputs" in text) == damaged for name in names)
    assert "Loss per dataset" in text


def test_odd_values_in_the_right_places_do_not_stop_the_report(run: Path):
    odd = [None, True, "x", float("nan"), float("inf"), 10**400, 1e308, 1e-310, -1, {}, [], [[]], ""]
    lines = [{"step": n, "loss": value, "loss/a": value, "gate/dense/0": value, "grad_norm": value}
             for n, value in enumerate(odd * 4)]  # fmt: skip
    write_lines(run / "metrics.jsonl", lines)
    drops = run / "drops.json"
    for value in odd:
        (run / "summary.json").write_text(json.dumps(dict.fromkeys(SUMMARY, value)))
        fields = ("source", "image", "wrong_image", "truth", "answer", "answer_wrong_image", "attributes", "nll")
        examples = [
            dict.fromkeys(fields, value),
            {"attributes": {"a": value, "b": [value, value]}, "answer": "a"},
            value,
        ]
        (run / "heldout.json").write_text(json.dumps({"examples": examples, "accuracy": {"a": value}}))
        filters = [dict.fromkeys(("rule", "unit", "count", "examples"), value), value]
        drops.write_text(json.dumps({"dataset": value, "kept": {"a": value}, "drops": filters, "seconds": value}))
        assert "Held-out examples" in page_of(run, corpora=[drops]).text


def test_malformed_lines_are_skipped_and_counted(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(
        b'{"step": 1, "loss": 2}\n\n[1]\n{"loss": 3}\n\xff\xfe\n{"step": 2.5}\n'
        b'{"step": 2, "loss": 1.5}\n{"step": 3, "lo'
    )
    notes: list[str] = []
    log = read_metrics(epath.Path(path), notes)
    assert log.steps.tolist() == [1, 2]
    assert log.columns["loss"].tolist() == [2.0, 1.5]
    assert len(notes) == 1
    assert "skipped 5 lines" in notes[0]
    assert "(line 3, 4, 5, 6, 8)" in notes[0]
    assert "skipped 5 lines" in page_of(tmp_path).text


def test_after_a_resume_the_later_line_wins_and_the_abandoned_steps_go(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    lines = [{"step": step, "loss": 1.0, "loss/m3w": 2.0, "extra": 5.0} for step in (1, 2, 3, 4)]
    lines += [{"event": "resume", "step": 2}, {"step": 2, "loss": 7.0}, {"step": 3, "loss": 9.0}]
    write_lines(path, lines)
    log = read_metrics(epath.Path(path), [])
    assert log.steps.tolist() == [1, 2, 3]
    assert log.columns["loss"].tolist() == [1.0, 7.0, 9.0]
    np.testing.assert_array_equal(log.columns["extra"], [5.0, 5.0, np.nan])
    assert log.resumes == (2,)
    page = page_of(tmp_path)
    assert "resumed at step 2" in page.text
    assert len(page.with_class("resume")) == 4  # wide and narrow losses, their sum, and the extra series


def test_a_rollback_drops_what_it_gave_up_and_is_marked(tmp_path: Path):
    lines = [{"step": step, "time": 100.0 + step, "loss": 1.0, "loss/m3w": 2.0} for step in (1, 2, 3, 4)]
    lines += [{"event": "spike", "step": 4, "time": 104.0, "message": "odd", "records": {"m3w": [1, 2]}}]
    lines += [
        {"event": "rollback", "step": 4, "time": 105.0, "to": 2, "data_step": 4},
        {"step": 3, "time": 106, "loss": 9},
    ]
    write_lines(tmp_path / "metrics.jsonl", lines)
    log = read_metrics(epath.Path(tmp_path / "metrics.jsonl"), [])
    assert log.steps.tolist() == [1, 2, 3] and log.columns["loss"].tolist() == [1.0, 1.0, 9.0]
    assert "time" not in log.columns
    assert (log.resumes, log.rollbacks) == ((), (2,))
    page = page_of(tmp_path)
    assert "went back to step 2" in page.text and page.with_class("resume")


def test_telemetry_has_its_places_and_the_other_series_stay_few(tmp_path: Path):
    labels = ("resampler", "cross_attention", "new_tokens")
    lines = [{"event": "start", "step": 0, "time": 0.0}]
    for step in range(1, 61):
        more = {f"{kind}/{label}": 0.1 * step for kind in ("grad_norm", "update_norm") for label in labels}
        more |= {f"{what}_seen/{name}": 1e6 * step for what in ("tokens", "images") for name in ("m3w", "pairs")}
        more |= {
            "tokens_seen": 2e6 * step,
            "images_seen": 2e6 * step,
            "mfu": 0.4,
            "data_wait": 0.1,
            "hbm_bytes_peak": 1e9,
        }
        more |= {"goodput": 0.75, "badput/setup": 0.2, "badput/rolled_back": 0.05, "time": 10.0 * step}
        lines.append(metrics_line(step, **more))
    write_lines(tmp_path / "metrics.jsonl", lines)
    page = page_of(tmp_path)
    for told in (
        "Gradient norm by part", "Update norm by part", "MFU", "Wait for data", "Where the time went",
        "of 10 min from the first start", "updates that count 75%", "start 20%", "updates that a rollback gave up 5.0%",
        "Seen", "tokens, all 120 million", "images, pairs 60.0 million",
    ):  # fmt: skip
        assert told in page.text, told
    others = page.text.partition("Other logged series")[2]
    assert "hbm_bytes_peak" in others
    assert not any(name in others for name in ("badput", "tokens_seen", "grad_norm/", "update_norm/", "goodput"))


PAYLOADS = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "</title></style></svg><iframe src=javascript:alert(1)>",
    "&lt;script&gt; \ud800",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_from_the_data_is_never_markup(run: Path, payload: str):
    workdir = run.parent / "<b onclick=alert(1)>"
    run.rename(workdir)
    lines = [metrics_line(n) | {payload: 1.0, f"loss/{payload}": 1.0 * n, f"skipped/{payload}": 1} for n in range(1, 9)]
    write_lines(workdir / "metrics.jsonl", [*lines, {"step": 9, "gate/dense/" + payload: 1.0}])
    (workdir / "summary.json").write_text(json.dumps(SUMMARY | {payload: payload}))
    (workdir / "config.json").write_text(json.dumps({payload: {payload: payload}, "list": [payload]}))
    fields = ("source", "image", "wrong_image", "truth", "answer", "answer_wrong_image")
    example = dict.fromkeys(fields, payload) | {
        "attributes": {payload: [payload, payload]},
        "nll": 1,
        "nll_wrong_image": 2,
    }
    (workdir / "heldout.json").write_text(json.dumps({"examples": [example], "accuracy": {payload: 0.5}}))
    drops = workdir / "drops.json"
    filters = [{"rule": payload, "unit": payload, "count": 3, "examples": [payload, {payload: payload}]}]
    drops.write_text(json.dumps({"dataset": payload, "kept": {payload: 3}, "drops": filters}))
    page = page_of(workdir, corpora=[drops, workdir / payload.replace("/", "")])
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe"})
    assert not [attrs for _, attrs in page.elements if any(name.startswith("on") for name in attrs)]
    assert all(attrs["src"].startswith("data:") for tag, attrs in page.elements if tag == "img")
    shown = " ".join(payload.replace("\ud800", "?").split())
    assert page.text.count(shown) >= 10


def test_a_gate_has_a_line_per_layer_with_a_colour_of_its_own(run: Path):
    source = write_report(run).read_text()
    for layer in range(4):
        assert len(re.findall(rf"<path [^>]*stroke:var\(--depth-{layer}\)", source)) == 2
        assert source.count(f"--depth-{layer}:#") == 2  # light and dark
    assert "--depth-4" not in source
    assert "layer 3, feed-forward: 0.300" in Page(source).text


def test_cards_show_what_is_right_and_wrong_by_more_than_colour(run: Path):
    page = page_of(run)
    assert "✓ right: colour red" in page.text
    assert "✗ wrong: shape circle, not star" in page.text
    assert "✗ wrong: size large not named" in page.text
    marks = [attrs["class"] for tag, attrs in page.elements if tag == "mark"]
    # Per card: red right, circle wrong, and two stretches that change with the image; three signs in the guide.
    assert [marks.count(kind) for kind in ("right", "wrong", "changed")] == [3 + 1, 3 + 1, 6 + 1]
    assert "above the diagonal, in 3 of 3" in page.text
    assert "colour: 90% with the image, 20% blind baseline" in page.text


def test_only_the_first_examples_are_shown_and_the_page_says_so(run: Path):
    page = page_of(run, max_examples=2)
    assert len(page.with_class("card")) == 2
    assert "The first 2 of 3 examples" in page.text
    assert "All 3 examples" in page_of(run).text


def test_drops_are_listed_per_unit_with_bars_and_examples(run: Path):
    filters = [
        {"rule": "too_small", "unit": "image", "count": 20, "examples": ["a.png", "b.png"]},
        {"rule": "banner", "unit": "image", "count": 80, "examples": []},
        {"rule": "no_image_left", "unit": "page", "count": 5, "examples": []},
    ]
    drops = run / "m3w.json"
    drops.write_text(json.dumps({"dataset": "m3w", "kept": {"documents": 1412}, "drops": filters, "seconds": 75}))
    page = page_of(run, corpora=[drops, run / "gone.json"])
    assert "1,412 documents" in page.text
    assert "built in 1 min 15 s" in page.text
    assert re.search(
        r"Dropped · image 100 banner 80 too small 2 examples of 20 a.png b.png 20 Dropped · page 5", page.text
    )
    table = page.elements[next(n for n, (tag, attrs) in enumerate(page.elements) if attrs.get("class") == "drops") :]
    bars = [attrs["style"] for _, attrs in table if attrs.get("class") == "fill"]
    assert bars == ["width:100.0%", "width:25.0%", "width:100.0%"]
    assert "gone.json: there is no such file" in page.text


def test_a_failed_write_leaves_neither_a_half_file_nor_damage(run: Path, monkeypatch: pytest.MonkeyPatch):
    write_report(run)
    before = (run / "report.html").read_bytes()

    kind = type(epath.Path(run))
    opened = kind.open

    class Full(io.BytesIO):
        """A file that takes a hundred bytes."""

        def __init__(self, file):
            super().__init__()
            self.file = file

        def write(self, data):
            self.file.write(data[:100])
            self.file.close()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(kind, "open", lambda self, mode="r": Full(opened(self, mode)))
    with pytest.raises(OSError, match="No space left"):
        write_report(run)
    assert (run / "report.html").read_bytes() == before
    assert not [path for path in run.iterdir() if path.name.endswith(".partial")]
