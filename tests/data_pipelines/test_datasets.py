"""Sketches written to TFDS and read back; the split and the shards; nothing else touched."""

import os
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import pytest
import tensorflow_datasets as tfds
from apache_beam.runners.portability.fn_api_runner import fn_runner
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.pipeline import datasets, runners, writing
from data_pipelines.pipeline.sketch import Drop, Medium, Reference, Sketch
from data_pipelines.progress import Board
from flamingo_jax.data.document import Document, Image, Text, Video

ROOT = Path(__file__).parents[2]


def build(folder: Path, sketches, layout=None, flags=()) -> datasets.DocumentDatasetBuilder:
    scratch = folder / "scratch"
    scratch.mkdir(parents=True)

    def documents(flow):
        return flow.stage("all", flow.create("sketches", sketches), yield_it)

    builder = datasets.DocumentDatasetBuilder(
        name="web",
        documents=documents,
        layout=layout or writing.Layout(0.2),
        board=Board(None),
        scratch=scratch,
        data_dir=folder,
    )
    runner = runners.from_flags(flags)
    config = tfds.download.DownloadConfig(beam_runner=runner.runner, beam_options=runner.options)
    builder.download_and_prepare(download_dir=folder / "downloads", download_config=config)
    return builder


def yield_it(sketch):
    yield sketch


def sketch(folder: Path, number: int) -> Sketch:
    path = folder / f"{number}.bin"
    path.write_bytes(bytes(range(256)) + bytes([number]))
    items = (
        Text(f"Ünicode {number}"),
        Medium("image", f"img/{number}.png", Reference(str(path)), size=257),
        Medium("video", "", Reference(str(path), "span", 1, 2), size=2),
        Text("x"),
    )
    return Sketch(f"pages/{number}.html", items)


def document(number: int) -> Document:
    payload = bytes(range(256)) + bytes([number])
    items = (Text(f"Ünicode {number}"), Image(payload, f"img/{number}.png"), Video(payload[1:3]), Text("x"))
    return Document(f"pages/{number}.html", items)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    return [sketch(folder, number) for number in range(40)]


@pytest.fixture(scope="module")
def written(material, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return folder, build(folder, [*material, material[3]], writing.Layout(0.2, shard_bytes=2000))


def test_documents_come_back_as_they_went_in(written):
    folder, builder = written
    again = tfds.builder_from_directory(folder / "web" / "1.0.0")
    assert again.info.file_format.value == "array_record"
    found = {}
    for split in again.info.splits:
        documents = [Document.from_record(record) for record in again.as_data_source(split)]
        assert len(documents) == again.info.splits[split].num_examples
        found |= {one.key: one for one in documents}
    assert found == {f"pages/{number}.html": document(number) for number in range(40)}
    assert builder.kept == {"documents": 40, "images": 40, "texts": 80, "videos": 40}
    assert [(rule.rule, rule.unit, rule.count) for rule in builder.rules] == [("key_repeated", "document", 1)]


def test_shards_have_the_size_that_was_asked_for_and_are_shuffled(written):
    folder, _ = written
    info = tfds.builder_from_directory(folder / "web" / "1.0.0").info.splits["train"]
    assert 4 <= len(info.shard_lengths) <= 6 and sum(info.shard_lengths) == info.num_examples
    keys = [
        record["key"].decode() for record in tfds.builder_from_directory(folder / "web/1.0.0").as_data_source("train")
    ]
    assert keys != sorted(keys)
    hashes = [writing.hashes(key)[1] for key in keys]
    assert hashes == sorted(hashes)


def test_neither_order_nor_processes_change_a_byte(material, written, tmp_path):
    other = [material[3], *reversed(material)]
    build(tmp_path, other, writing.Layout(0.2, shard_bytes=2000), ["--direct_num_workers=2"])
    files = sorted(path for path in (written[0] / "web").rglob("*") if path.is_file())
    assert len(files) > 7
    for path in files:
        assert (tmp_path / path.relative_to(written[0])).read_bytes() == path.read_bytes(), path


def test_nothing_is_written_outside_the_folder(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Some words.")
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "data_pipelines.convert", "text", "--input", tmp_path / "in", "--output"]
    subprocess.run([*command, tmp_path / "out"], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert list((tmp_path / "home").iterdir()) == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["text"]
    assert len(list((tmp_path / "out" / "text" / "1.0.0").iterdir())) == 3


def test_a_medium_that_has_gone_ends_the_build(tmp_path):
    gone = Sketch("a", (Medium("image", "", Reference(str(tmp_path / "gone.png"))),))
    with pytest.raises(OSError, match=r"gone\.png"):
        build(tmp_path / "out", [gone])


def test_nothing_kept_is_told_with_what_dropped_it(tmp_path):
    def drop(_):
        yield Drop("too_dull", "page", "a")

    scratch = epath.Path(tmp_path)
    builder = datasets.DocumentDatasetBuilder(
        name="web",
        documents=lambda flow: flow.stage("none", flow.create("one", [1]), drop),
        layout=writing.Layout(),
        board=Board(None),
        scratch=scratch,
        data_dir=tmp_path,
    )
    config = tfds.download.DownloadConfig(
        beam_runner=fn_runner.FnApiRunner(), beam_options=runners.from_flags([]).options
    )
    with pytest.raises(datasets.NothingKeptError):
        builder.download_and_prepare(download_dir=tmp_path / "downloads", download_config=config)
    assert [(rule.rule, rule.count) for rule in builder.rules] == [("too_dull", 1)]
    assert not (tmp_path / "web" / "1.0.0").exists()


def splits(keys, fraction: float) -> dict[str, set[str]]:
    units = {key: writing.hashes(key)[0] for key in keys}
    extent = min(units.values()), max(units.values())
    found = {"train": set(), "validation": set()}
    for key, unit in units.items():
        found[writing.split_of(unit, fraction, *extent)].add(key)
    return found


def test_the_split_depends_on_each_key_alone():
    keys = [f"k{number}" for number in range(4000)]
    validation = splits(keys, 0.1)["validation"]
    assert 330 < len(validation) < 470  # 400 expected, standard deviation 19
    assert splits(keys[::-2], 0.1)["validation"] == validation & set(keys[::-2])
    assert validation < splits(keys, 0.3)["validation"]


_THINGS = st.text(st.characters(exclude_characters="#"), max_size=5)


@given(st.sets(_THINGS, min_size=2, max_size=12), st.sampled_from([1e-9, 0.1, 0.999]))
def test_both_splits_have_something(keys, fraction):
    found = splits(keys, fraction)
    assert found["train"] and found["validation"]


def test_one_key_or_no_fraction_gives_train_only():
    assert splits(["a"], 0.9)["train"] == {"a"}
    assert splits(["a", "a#1", "a#2"], 0.9)["train"] == {"a", "a#1", "a#2"}
    assert splits(["b", "a"], 0)["train"] == {"a", "b"}


def test_the_extent_of_keys_can_be_found_in_parts():
    parts = [[Sketch(f"{part}/{number}", ()) for number in range(5)] for part in range(4)]
    extent = writing._Extent()

    def gather(sketches):
        accumulator = extent.create_accumulator()
        for one in sketches:
            accumulator = extent.add_input(accumulator, one)
        return accumulator

    assert extent.merge_accumulators(map(gather, parts)) == gather([one for part in parts for one in part])
    assert isinstance(extent, beam.CombineFn)
