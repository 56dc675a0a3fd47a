"""Captioned images: what becomes a document and what is counted."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image as PillowImage

from data_pipelines import command_line, convert
from flamingo_jax.data.document import Document, Image, Text

ROOT = Path(__file__).parents[2]


def write_pair(root, name, caption: bytes | str | None, seed=0, side=70):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    PillowImage.fromarray(pixels).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_bytes(caption.encode() if isinstance(caption, str) else caption)


def run(*arguments) -> int:
    return command_line.run(convert.main, ["pairs", *map(str, arguments)])


def read(directory) -> dict[str, Document]:
    builder = tfds.builder_from_directory(directory)
    found = [Document.from_record(record) for split in builder.info.splits for record in builder.as_data_source(split)]
    return {document.key: document for document in found}


def test_pairs_and_drops(tmp_path):
    root = tmp_path / "in"
    write_pair(root, "a.png", "  A red\tcar. \r\nes.utf8=Un coche rojo.\n", 1)
    write_pair(root, "deep/er/b.JPG".lower(), "\ufeffCafé".encode(), 2)
    write_pair(root, "deep/c.webp", "Caf\xe9".encode("latin-1"), 3)
    write_pair(root, "none.png", None)
    write_pair(root, "blank.png", "\nsecond line")
    write_pair(root, "rubbish.png", bytes(range(256)))
    write_pair(root, "small.png", "Too small.", side=30)
    write_pair(root, "cut.png", "Cut.")
    (root / "cut.png").write_bytes((root / "cut.png").read_bytes()[:500])
    (root / "notes.txt").write_text("no picture")
    write_pair(tmp_path, "secret.png", "Secret.")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "link.txt").write_text("A link out of the folder.")
    assert run("--input", root, "--output", tmp_path / "out") == 0
    documents = read(tmp_path / "out" / "pairs" / "1.0.0")
    assert {key: document.text for key, document in documents.items()} == {
        "a.png": "A red car.",
        "deep/er/b.jpg": "Café",
        "deep/c.webp": "Café",
    }
    assert documents["a.png"].items == (Image((root / "a.png").read_bytes(), "a.png"), Text("A red car."))
    report = json.loads((tmp_path / "out" / "pairs" / "drops.json").read_text())
    assert report["kept"]["pairs"] == 3
    assert {(drop["rule"], drop["unit"]): (drop["count"], drop["examples"]) for drop in report["drops"]} == {
        ("caption_missing", "pair"): (1, ["none.png"]),
        ("caption_empty", "pair"): (1, ["blank.png"]),
        ("caption_undecodable", "pair"): (1, ["rubbish.png"]),
        ("image_too_small", "pair"): (1, ["small.png"]),
        ("image_undecodable", "pair"): (1, ["cut.png"]),
        ("outside_input", "pair"): (1, ["link.png"]),
    }


def test_the_name_and_the_rules_are_flags(tmp_path):
    write_pair(tmp_path / "in", "a.png", "One.", 1, side=30)
    write_pair(tmp_path / "in", "b.png", "Two.", 2)
    options = ["--name", "stamps", "--gin", "ImageRules.min_side=20", "--validation_fraction", 0]
    assert run("--input", tmp_path / "in", "--output", tmp_path / "out", *options) == 0
    assert sorted(read(tmp_path / "out" / "stamps" / "1.0.0")) == ["a.png", "b.png"]


@pytest.mark.parametrize(("files", "message"), [({}, "empty folder"), ({"a.txt": "x"}, "has no image")])
def test_input_without_images(tmp_path, capsys, files, message):
    (tmp_path / "in").mkdir()
    for name, text in files.items():
        (tmp_path / "in" / name).write_text(text)
    assert run("--input", tmp_path / "in", "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_ends_in_one_error_and_nothing_half_written(tmp_path, workers):
    for number in range(6):
        write_pair(tmp_path / "in", f"{number}.png", "Noise.", number)
    command = [sys.executable, "-m", "data_pipelines.convert", "pairs", "--input", tmp_path / "in"]
    command += ["--output", tmp_path / "out", f"--direct_num_workers={workers}"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, preexec_fn=limit)
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot write ") and "array_record" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
