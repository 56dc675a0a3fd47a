"""The builder as a whole: against the embedded web's ground truth, on messy folders, and through its command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image as PillowImage

from data_pipelines import command_line, embedded_web
from data_pipelines.m3w import command as m3w
from flamingo_jax.data.document import Document, Image, Text

ROOT = Path(__file__).parents[2]
WORDS = "\n".join(
    (
        "the of and to that have with be river town basket children morning spring story friend picture bread window",
        "garden letter winter horse carried brought told believed showed opened found lost painted mended kept sold",
        "early quiet green narrow heavy old bright every evening market bridge island teacher sister kitchen table",
        "yellow summer mountain village doctor music forest paper silver between under without",
    )
).split()


def prose(name: str) -> str:
    """English words, each once, in an order that no other name has."""
    return " ".join([name, *np.random.default_rng(list(name.encode())).permutation(WORDS)])


def read(directory) -> dict[str, Document]:
    """All documents of a dataset by key."""
    builder = tfds.builder_from_directory(directory)
    documents = [
        Document.from_record(record) for split in builder.info.splits for record in builder.as_data_source(split)
    ]
    return {document.key: document for document in documents}


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.random.default_rng(seed).integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(path)


def write_site(root: Path, pages: int, extra: str = "") -> None:
    """Pages that pass every rule, each with a picture of its own."""
    names = ["Ann", "Ben", "Cora", "Dan", "Eve", "Finn", "Gus", "Hal"]
    for number in range(pages):
        picture(root / "img" / f"{number}.png", number)
        body = f"<p>{prose(names[number])}</p><img src='img/{number}.png'>{extra}"
        (root / f"{number}.html").write_text(f"<html><body>{body}</body></html>")


def run(*arguments) -> int:
    return command_line.run(m3w.main, [str(argument) for argument in arguments])


def drops(report: dict) -> dict[tuple[str, str], int]:
    return {(drop["unit"], drop["rule"]): drop["count"] for drop in report["drops"]}


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    root = tmp_path_factory.mktemp("embedded") / "web"
    embedded_web.generate(root, embedded_web.Settings(seed=5, pages=40, pairs=1, clips=1), progress=False)
    return root


@pytest.fixture(scope="module")
def built(web, tmp_path_factory):
    output = tmp_path_factory.mktemp("datasets")
    assert run("--input", web / "site", "--output", output) == 0
    return output / "m3w"


def test_every_page_of_the_embedded_web_gives_its_true_items(web, built):
    pages = json.loads((web / "truth.json").read_text())["pages"]
    documents = read(built / "1.0.0")
    assert set(documents) == {key for key, page in pages.items() if not page.get("drop")}
    for key, document in documents.items():
        items = [{"text": item.text} if isinstance(item, Text) else {"image": item.source} for item in document.items]
        assert items == pages[key]["items"], key
        for image in document.media:
            assert image.encoded == (web / "site" / image.source).read_bytes()


def test_the_noise_of_the_embedded_web_is_dropped_by_the_rule_that_fits_it(web, built):
    noise = json.loads((web / "truth.json").read_text())["noise_images"]
    report = json.loads((built / "drops.json").read_text())
    rules = {
        "one-pixel tracker": {"image_too_small", "image_not_local"},
        "banner": {"image_too_elongated"},
        "single colour": {"image_single_colour"},
        "broken link": {"image_missing"},
        "truncated": {"image_undecodable"},
        "icon": {"image_too_small", "image_on_too_many_pages"},
    }
    seen = set()
    for drop in report["drops"]:
        for example in drop["examples"] if drop["unit"] == "image" else ():
            key, _, source = example.partition(": ")
            kinds = {kind for name, kind in noise.items() if name.endswith(source.removeprefix("../"))}
            assert any(drop["rule"] in rules[kind] for kind in kinds), (drop["rule"], key, source, kinds)
            seen |= kinds
    assert {"one-pixel tracker", "banner", "broken link"} <= seen


def test_report(built):
    report = json.loads((built / "drops.json").read_text())
    documents = read(built / "1.0.0")
    kept = report["kept"]
    assert report["dataset"] == "m3w"
    assert kept["pages"] == len(documents) == sum(kept["documents_per_split"].values())
    assert kept["images"] == sum(len(document.media) for document in documents.values())
    assert kept["texts"] == sum(isinstance(item, Text) for document in documents.values() for item in document.items)
    assert all(1 <= len(drop["examples"]) <= 8 and drop["count"] > 0 for drop in report["drops"])


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes_in_another_process(web, built, tmp_path):
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-m", "data_pipelines.m3w", "--input", web / "site", "--output", tmp_path]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert snapshot(tmp_path / "m3w" / "1.0.0") == snapshot(built / "1.0.0")


def test_what_stands_on_many_pages_is_dropped(tmp_path):
    write_site(
        tmp_path / "site",
        6,
        "<p>Copyright 20<b>1</b>9, page 7.</p><img src='mark.png'><figure><img src='b.png'></figure>",
    )
    picture(tmp_path / "site" / "mark.png", 100)
    picture(tmp_path / "site" / "b.png", 100)  # the same bytes under another name
    (tmp_path / "site" / "only-mark.html").write_text(f"<p>{prose('Ida')}</p><img src=mark.png>")
    assert run("--input", tmp_path / "site", "--output", tmp_path / "out") == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert sorted(documents) == [f"{number}.html" for number in range(6)]
    assert [type(item) for item in documents["3.html"].items] == [Text, Image]
    counts = drops(json.loads((tmp_path / "out" / "m3w" / "drops.json").read_text()))
    assert counts["image", "image_repeated"] == 6
    assert counts["image", "image_on_too_many_pages"] == 7
    assert counts["paragraph", "paragraph_on_too_many_pages"] == 6
    assert counts["page", "page_left_without_images"] == 1


def test_bad_pages_are_counted_and_do_not_stop_the_build(tmp_path):
    site = tmp_path / "site"
    write_site(site, 2)

    def good(name: str, source: str) -> str:
        return f"<p>{prose(name)}</p><img src='{source}'>"

    (site / "empty.html").write_bytes(b" \n")
    (site / "binary.html").write_bytes(bytes(range(256)) * 20)
    (site / "words.html").write_text("<p>Three words only</p><img src='img/0.png'>")
    (site / "text.html").write_text(f"<p>{prose('Quin')}</p>")
    (site / "wrong.html").write_bytes(('<meta charset="koi8-r">' + good("Kim", "img/0.png") + "<p>Café</p>").encode())
    (site / "broken.html").write_text(good("Lea", "img/cut.png"))
    (site / "img" / "cut.png").write_bytes((site / "img" / "0.png").read_bytes()[:3000])
    (site / "sub").mkdir()
    (site / "sub" / "up.HTM").write_text(good("Max", "../../secret.png"))
    (site / "sub" / "base.xhtml").write_text("<base href='../img/'>" + good("Nia", "1.png"))
    (site / "file.html").write_text(good("Oda", f"file://{tmp_path}/secret.png"))
    (site / "out.html").symlink_to(tmp_path / "outside.html")
    picture(tmp_path / "secret.png", 5)
    (tmp_path / "outside.html").write_text(good("Pia", "img/0.png"))
    assert run("--input", site, "--output", tmp_path / "out") == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert sorted(documents) == ["0.html", "1.html", "sub/base.xhtml", "wrong.html"]
    assert documents["wrong.html"].items[-1] == Text("Café")
    assert documents["sub/base.xhtml"].media[0].source == "img/1.png"
    assert drops(json.loads((tmp_path / "out" / "m3w" / "drops.json").read_text())) == {
        ("page", "page_empty"): 1,
        ("page", "page_undecodable"): 1,
        ("page", "too_few_words"): 1,
        ("page", "page_without_images"): 1,
        ("page", "page_outside_input"): 1,
        ("page", "page_left_without_images"): 3,
        ("image", "image_undecodable"): 1,
        ("image", "image_outside_input"): 1,
        ("image", "image_not_local"): 1,
    }


@pytest.mark.slow
def test_a_second_run_does_nothing_and_another_one_is_refused_until_told(tmp_path, capsys):
    site, out = tmp_path / "site", tmp_path / "out"
    write_site(site, 3)
    assert run("--input", site, "--output", out) == 0
    before = snapshot(out)
    assert run("--input", site, "--output", out) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run("--input", site, "--output", out, "--gin", "TextRules.min_words=200") == 2
    error = capsys.readouterr().err
    assert "settings" in error and "--overwrite" in error and len(error.splitlines()) == 1
    write_site(site, 4)
    assert run("--input", site, "--output", out) == 2
    assert "input" in capsys.readouterr().err
    assert snapshot(out) == before
    assert run("--input", site, "--output", out, "--overwrite") == 0
    assert len(read(out / "m3w" / "1.0.0")) == 4
    assert sorted(path.name for path in out.iterdir()) == ["m3w"]


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path, capsys):
    write_site(tmp_path / "site", 2)
    (tmp_path / "out" / "m3w").mkdir(parents=True)
    (tmp_path / "out" / "m3w" / "thesis.txt").write_text("years of work")
    assert run("--input", tmp_path / "site", "--output", tmp_path / "out", "--overwrite") == 2
    assert "not a dataset" in capsys.readouterr().err
    assert (tmp_path / "out" / "m3w" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "none", "--output", "out"], "does not exist"),
        (["--input", "empty", "--output", "out"], "is an empty folder"),
        (["--input", "pictures", "--output", "out"], "has no page"),
        (["--input", "site/0.html", "--output", "out"], "neither a local folder"),
        (["--input", "site", "--output", "site/out"], "lies inside"),
        (["--input", "site", "--output", "out", "--name", "../up"], "--name"),
        (["--input", "site", "--output", "out", "--validation_fraction", "1"], "--validation_fraction"),
        (["--input", "site", "--output", "out", "--gin", "TextRules.min_words=9999"], "nothing came through"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_site(Path("site"), 2)
    picture(Path("pictures/a.png"), 0)
    Path("empty").mkdir()
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.startswith("error: ") and len(error.splitlines()) == 1
    assert not Path("out").exists() and not Path("up").exists()


@pytest.mark.slow
def test_what_a_killed_build_left_is_removed(tmp_path):
    write_site(tmp_path / "site", 2)
    no_process = 2**22 + 1  # one more than the greatest process id that Linux gives
    left = tmp_path / "out" / f".m3w.incomplete-{os.uname().nodename}-{no_process}"
    other = tmp_path / "out" / f".m3w.incomplete-{os.uname().nodename}-{os.getppid()}"
    for folder in (left, other):
        (folder / "m3w").mkdir(parents=True)
    assert run("--input", tmp_path / "site", "--output", tmp_path / "out") == 0
    assert not left.exists() and other.exists()


def test_help_is_quick_because_nothing_heavy_is_imported():
    heavy = "('tensorflow_datasets', 'apache_beam', 'jax')"
    code = f"import sys, data_pipelines.m3w.command; print(*(name in sys.modules for name in {heavy}))"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False"] * 3
