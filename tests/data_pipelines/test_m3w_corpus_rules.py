"""Rules that look at more than one page or file: repeated pages, copies of images, evaluation images, safety."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_pipelines import command_line
from data_pipelines.m3w import command
from tests.data_pipelines.test_m3w_build import ROOT, drops, prose, read, snapshot, write_site


def run(*arguments) -> int:
    return command_line.run(command.main, [str(argument) for argument in arguments])


def report(folder: Path) -> dict:
    return json.loads((folder / "m3w" / "drops.json").read_text())


def landscape(seed: int, side: int = 160) -> Image.Image:
    """A smooth picture, of which a resized and recompressed copy is one to the eye."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)


def save(path: Path, image: Image.Image, **options) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path.read_bytes()


def page(root: Path, name: str, text: str, *images: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / f"{name}.html").write_text(f"<p>{text}</p>" + "".join(f"<img src={image}>" for image in images))


def test_repeated_pages_and_copies_of_images(tmp_path):
    site = tmp_path / "in"
    for number in range(9):
        save(site / f"{number}.png", landscape(number))
    for number in range(3):  # the same picture, encoded anew each time
        save(site / f"copy{number}.jpg", landscape(50), quality=80 + 5 * number)
    words = prose("Ann")
    page(site, "a", words, "0.png", "1.png")
    page(site, "b", words.upper(), "2.png")  # the same words
    page(site, "c", words + " " + "indeed", "3.png")  # nearly
    page(site, "d", prose("Ben"), "4.png", "4.png", "copy0.jpg")
    page(site, "e", prose("Cora"), "5.png", "copy1.jpg")
    page(site, "f", prose("Dan"), "6.png", "copy2.jpg")
    assert run("--input", site, "--output", tmp_path / "out", "--gin=ImageDuplicates.max_pages=2") == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert {key: [image.source for image in document.media] for key, document in documents.items()} == {
        "a.html": ["0.png", "1.png"],
        "d.html": ["4.png"],
        "e.html": ["5.png"],
        "f.html": ["6.png"],
    }
    found = report(tmp_path / "out")
    assert drops(found) == {
        ("page", "page_repeated"): 1,
        ("page", "page_nearly_repeated"): 1,
        ("image", "image_repeated"): 1,
        ("image", "image_on_too_many_pages"): 3,
    }
    examples = {drop["rule"]: drop["examples"] for drop in found["drops"]}
    assert examples["page_repeated"] == ["b.html = a.html"]
    assert (tmp_path / "out" / "m3w" / "report.html").read_text().count("<img ") == 4


@pytest.mark.parametrize(
    ("action", "kept", "dropped"),
    [
        ("report", {"a.html": 2, "b.html": 1}, {}),
        ("drop_image", {"a.html": 1, "b.html": 1}, {("image", "image_in_evaluation"): 1}),
        ("drop_page", {"b.html": 1}, {("page", "page_with_evaluation_image"): 1}),
    ],
)
def test_evaluation_images(tmp_path, action, kept, dropped):
    site = tmp_path / "in"
    for number in range(3):
        save(site / f"{number}.png", landscape(number))
    save(tmp_path / "coco" / "val" / "7.jpg", landscape(1).resize((90, 90)), quality=85)
    save(tmp_path / "coco" / "val" / "8.jpg", landscape(99))
    page(site, "a", prose("Ann"), "0.png", "1.png")
    page(site, "b", prose("Ben"), "2.png")
    bindings = [f"Decontamination.action={action!r}", f"Decontamination.evaluation=({str(tmp_path / 'coco')!r},)"]
    assert run("--input", site, "--output", tmp_path / "out", *(f"--gin={one}" for one in bindings)) == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert {key: len(document.media) for key, document in documents.items()} == kept
    found = report(tmp_path / "out")
    assert drops(found) == dropped
    assert found["kept"].get("images that may be of an evaluation", 0) == (action == "report")


class Reddish:
    """A classifier that finds red pictures and the word "horse" unsafe."""

    def score_text(self, text: str) -> float:
        return float("zebra" in text)

    def score_image(self, encoded: bytes) -> float:
        red, green, _ = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).mean((0, 1)) / 255
        return float(red > 2 * green)


def test_a_classifier_of_the_users_own(tmp_path, capsys):
    site = tmp_path / "in"
    save(site / "0.png", landscape(0))
    for name in ("xxx/1.png", "site-logo.png"):
        save(site / name, landscape(2))
    red = np.asarray(landscape(1)) // np.array([1, 8, 8], np.uint8)
    save(site / "red.png", Image.fromarray(red.astype(np.uint8)))
    page(site, "a", prose("Ann"), "0.png")
    page(site, "b", prose("Ben"), "0.png", "red.png")
    page(site, "c", prose("Cora") + " zebra", "0.png")
    page(site, "d", prose("Dan"), "0.png", "xxx/1.png")
    page(site, "e", prose("Eve"), "0.png", "site-logo.png")
    arguments = ["--input", site, "--output", tmp_path / "out", "--gin=FrequencyRules.min_pages=9"]
    name = "tests.data_pipelines.test_m3w_corpus_rules:Reddish"
    assert run(*arguments, f"--gin=SafetyRules.classifier='{name}'") == 0
    assert sorted(read(tmp_path / "out" / "m3w" / "1.0.0")) == ["a.html", "e.html"]
    assert drops(report(tmp_path / "out")) == {
        ("page", "page_with_unsafe_image"): 1,
        ("page", "page_text_unsafe"): 1,
        ("page", "page_with_explicit_image"): 1,
        ("image", "image_name_unwanted"): 1,
    }
    assert run(*arguments, "--overwrite", "--gin=SafetyRules.classifier='no.such:thing'") == 2
    error = capsys.readouterr().err
    assert "no.such" in error and len(error.splitlines()) == 1


@pytest.mark.slow
def test_a_killed_build_run_again_ends_with_the_same_dataset(tmp_path):
    write_site(tmp_path / "site", 8)
    arguments = ["--input", tmp_path / "site", "--output"]
    flags = ["--direct_num_workers=2"]
    assert run(*arguments, tmp_path / "whole") == 0
    killed = tmp_path / "killed"
    program = subprocess.Popen([sys.executable, "-m", "data_pipelines.m3w", *arguments, killed, *flags], cwd=ROOT)
    while not list(killed.glob(".m3w.incomplete-*/m3w")):  # the pipeline is at work
        assert program.poll() is None
        time.sleep(0.01)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert not (killed / "m3w").exists() and list(killed.glob(".m3w.incomplete-*"))
    assert run(*arguments, killed, *flags) == 0
    assert snapshot(killed) == snapshot(tmp_path / "whole")
