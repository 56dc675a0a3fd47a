"""Whole builds from the formats of others: what is in the dataset, and what is counted."""

import collections
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_pipelines import command_line, convert
from data_pipelines.fetching.store import ImageStore
from data_pipelines.formats import registry
from flamingo_jax.data.document import Image, Text
from tests.data.samples import noise_bytes
from tests.data_pipelines import fixtures_mmc4, fixtures_obelics, fixtures_tars
from tests.data_pipelines.test_m3w_build import drops, read
from tests.hostile_media import GALLERY

PICTURES = [noise_bytes(seed, (80, 70)) for seed in range(4)]


def run(*arguments) -> int:
    return command_line.run(convert.main, [str(argument) for argument in arguments])


def report(folder, name: str) -> dict:
    return json.loads((folder / name / "drops.json").read_text())


def built(folder, name: str) -> dict:
    return read(folder / name / "1.0.0")


def test_every_hostile_image_is_kept_or_counted_by_its_rule(tmp_path):
    samples = [
        fixtures_tars.members(f"{number:05d}", {"jpg": specimen.encoded, "txt": specimen.name.encode()})
        for number, specimen in enumerate(GALLERY.values())
    ]
    fixtures_tars.write(tmp_path / "in" / "00000.tar", *samples)
    assert run("webdataset", "--input", tmp_path / "in", "--output", tmp_path) == 0
    kept = {document.text: document.media[0].encoded for document in built(tmp_path, "webdataset").values()}
    assert kept == {one.name: one.encoded for one in GALLERY.values() if not one.rule}
    expected = collections.Counter(one.rule for one in GALLERY.values() if one.rule)
    assert len(expected) > 5
    assert drops(report(tmp_path, "webdataset")) == {("pair", rule): count for rule, count in expected.items()}


def test_obelics_with_fetched_images(tmp_path):
    rows = [
        fixtures_obelics.row(["https://a.org/0.jpg", None, "https://a.org/1.jpg"], [None, "Between two.", None]),
        fixtures_obelics.row([None, "https://a.org/2.jpg"], ["Gone.", None]),
        fixtures_obelics.row([None, "https://a.org/3.jpg"], ["Never asked for.", None]),
        fixtures_obelics.row(["https://a.org/0.jpg"], ["both", "longer"]),
    ]
    fixtures_obelics.write(tmp_path / "in" / "train-00000.parquet", rows)
    store = ImageStore(tmp_path / "store")
    for number in range(2):
        store.put(f"https://a.org/{number}.jpg", PICTURES[number], final_url="", status=200, mime="image/jpeg")
    store.refuse("https://a.org/2.jpg", "fetch_not_found")
    arguments = ["obelics", "--input", tmp_path / "in", "--output", tmp_path, "--store", tmp_path / "store"]
    assert run(*arguments) == 0
    (document,) = built(tmp_path, "obelics").values()
    assert document.items == (
        Image(PICTURES[0], "https://a.org/0.jpg"),
        Text("Between two."),
        Image(PICTURES[1], "https://a.org/1.jpg"),
    )
    assert drops(report(tmp_path, "obelics")) == {
        ("document", "document_left_without_images"): 2,
        ("document", "lengths_differ"): 1,
        ("image", "fetch_not_found"): 1,
        ("image", "image_not_fetched"): 1,
    }


def test_mmc4_with_images_inside(tmp_path):
    good = fixtures_mmc4.record(["One.", "Two."], [fixtures_mmc4.info(1, 1)])
    cut = fixtures_mmc4.record(["Three."], [fixtures_mmc4.info(2, 0)])
    (tmp_path / "in").mkdir()
    documents = [fixtures_mmc4.embed(good, PICTURES[0]), fixtures_mmc4.embed(cut, PICTURES[1][:900])]
    fixtures_mmc4.write_tar(tmp_path / "in" / "0.tar", documents)
    assert run("mmc4", "--input", tmp_path / "in", "--output", tmp_path) == 0
    (document,) = built(tmp_path, "mmc4").values()
    assert [type(item) for item in document.items] == [Text, Image, Text]
    assert document.media[0].encoded == PICTURES[0]
    assert drops(report(tmp_path, "mmc4")) == {
        ("document", "document_left_without_images"): 1,
        ("image", "image_undecodable"): 1,
    }


def test_coco_and_images_beside(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "7.jpg").write_bytes(PICTURES[0])
    (tmp_path / "secret.jpg").write_bytes(PICTURES[1])
    listing = {
        "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "../secret.jpg"}],
        "annotations": [
            {"id": 70, "image_id": 7, "caption": "Noise."},
            {"id": 71, "image_id": 7, "caption": "More  noise. "},
            {"id": 72, "image_id": 8, "caption": "A secret."},
        ],
    }
    (tmp_path / "in" / "captions_train2014.json").write_text(json.dumps(listing))
    assert run("coco", "--input", tmp_path / "in", "--output", tmp_path) == 0
    documents = built(tmp_path, "coco")
    assert sorted(document.text for document in documents.values()) == ["More noise.", "Noise."]
    assert {document.media[0].encoded for document in documents.values()} == {PICTURES[0]}
    assert drops(report(tmp_path, "coco")) == {("pair", "image_outside_input"): 1}


def test_images_in_tables_and_text(tmp_path):
    table = pa.table({"jpg": PICTURES[:2], "caption": ["A.", None], "key": ["a", "b"]})
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "00000.parquet")
    assert run("webdataset", "--input", tmp_path / "in", "--output", tmp_path) == 0
    assert [document.items for document in built(tmp_path, "webdataset").values()] == [
        (Image(PICTURES[0], next(iter(built(tmp_path, "webdataset")))), Text("A."))
    ]
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.jsonl").write_text('{"text": "One.\\n\\nTwo."}\n{"text": null}\n')
    assert run("text", "--input", tmp_path / "text", "--output", tmp_path / "out") == 0
    assert [document.items for document in built(tmp_path / "out", "text").values()] == [(Text("One.\n\nTwo."),)]
    assert drops(report(tmp_path / "out", "text")) == {("document", "text_null"): 1}


@pytest.mark.parametrize("name", registry.FORMATS)
def test_help_and_wrong_input(name, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        convert.main([name, "--help"])
    assert stop.value.code == 0 and "--gin" in capsys.readouterr().out
    assert run(name, "--input", tmp_path / "none", "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "does not exist" in error and len(error.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_command_knows_its_formats(capsys):
    assert run("wikipedia", "--input", "a") == 2
    error = capsys.readouterr().err
    assert run("--help") == 0
    listed = capsys.readouterr().out
    assert all(name in error and name in listed for name in registry.FORMATS)
