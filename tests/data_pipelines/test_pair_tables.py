"""Captioned images in Parquet files, and the reading of their cells."""

import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.containers import parquet_cells
from data_pipelines.formats import webdataset
from data_pipelines.pipeline.sketch import Link, Reference
from flamingo_jax.data.document import Text
from tests.data_pipelines.fixtures_results import sort
from tests.data_pipelines.fixtures_tars import JPEG, about, sample, write

CONFIG = webdataset.WebDatasetConfig()


def read(folder, config=CONFIG):
    shards = webdataset.shards(str(folder), config)
    return sort(itertools.chain.from_iterable(webdataset.read(shard, config) for shard in shards))


def row(number: int, image: bytes | None = JPEG, **changes) -> dict:
    """A row as img2dataset's `ParquetSampleWriter` makes it."""
    meta = about(number, **changes)
    return {"key": meta["key"], "jpg": image, "txt": meta["caption"] if image else None, **meta}


def test_tables_of_img2dataset(tmp_path):
    failed = {"status": "failed_to_download", "error_message": "HTTP Error 404: Not Found"}
    rows = [row(0), row(1, None, **failed), row(2, JPEG[::-1]), row(3, caption=None), row(4, caption=" ")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "00000.parquet", row_group_size=2)
    documents, drops = read(tmp_path)
    assert {key: items[1] for key, items in documents.items()} == {
        "00000.parquet/0": Text("Caption 0"),
        "00000.parquet/2": Text("Caption 2"),
    }
    medium = documents["00000.parquet/2"][0]
    assert medium.source == "https://example.org/2.jpg?w=640"
    assert medium.reference == Reference(f"{tmp_path}/00000.parquet", "parquet", place="2/jpg")
    assert parquet_cells.read_cell(medium.reference.path, medium.reference.place) == JPEG[::-1]
    assert drops == {("image_missing", "pair"): 1, ("caption_null", "pair"): 1, ("caption_empty", "pair"): 1}


def test_tables_of_hugging_face(tmp_path):
    rows = [{"image": {"bytes": JPEG, "path": "a.jpg"}, "text": "A caption"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train-00000-of-00001.parquet")
    documents, drops = read(tmp_path)
    ((medium, text),) = documents.values()
    assert (text, medium.source, drops) == (Text("A caption"), "train-00000-of-00001.parquet/0", {})
    assert parquet_cells.read_cell(medium.reference.path, medium.reference.place) == JPEG


def test_lists_of_addresses_become_links(tmp_path):
    """The columns of LAION; those of CC3M and CC12M, `caption` and `url`, are found likewise."""
    columns = {"URL": ["http://e.org/é.jpg", "none", None], "TEXT": ["One", "Two", "Three"], "similarity": [0.3] * 3}
    pq.write_table(pa.table(columns), tmp_path / "part-00000.snappy.parquet")
    documents, drops = read(tmp_path)
    link = Link("image", ("http://e.org/%C3%A9.jpg",))
    assert documents == {"part-00000.snappy.parquet/0": (link, Text("One"))}
    assert drops == {("image_not_on_the_web", "pair"): 2}


def test_the_column_of_the_caption_can_be_named(tmp_path):
    pq.write_table(pa.table({"url": ["http://e.org/a.jpg"], "caption": ["no"], "alt": ["One"]}), tmp_path / "a.parquet")
    documents, _ = read(tmp_path, webdataset.WebDatasetConfig(caption_key="alt"))
    assert [items[1].text for items in documents.values()] == ["One"]


@pytest.mark.parametrize("columns", [{"jpg": [JPEG]}, {"caption": ["a"]}, {"caption": ["a"], "image": ["a.jpg"]}])
def test_other_tables_are_one_drop(tmp_path, columns):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert read(tmp_path) == ({}, {("columns_missing", "pair"): 1})


def test_two_columns_of_one_name_are_one_drop(tmp_path):
    table = pa.Table.from_arrays(
        [pa.array(["http://e.org/a.jpg"]), pa.array(["a"]), pa.array(["b"])], ["url", "txt", "txt"]
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path) == ({}, {("columns_repeated", "pair"): 1})


def test_a_table_beside_its_tar_is_not_read_again(tmp_path):
    write(tmp_path / "00000.tar", sample(0))
    pq.write_table(pa.Table.from_pylist([about(0)]), tmp_path / "00000.parquet")
    pq.write_table(pa.Table.from_pylist([about(10_000)]), tmp_path / "00001.parquet")
    assert sorted(read(tmp_path)[0]) == ["00000.tar/000000000", "00001.parquet/0"]


def test_a_cut_table_is_one_drop(tmp_path):
    pq.write_table(pa.Table.from_pylist([row(0)]), tmp_path / "00000.parquet")
    (tmp_path / "00000.parquet").write_bytes((tmp_path / "00000.parquet").read_bytes()[:-5])
    assert read(tmp_path) == ({}, {("shard_truncated", "pair"): 1})


@given(
    rows=st.lists(st.none() | st.binary(max_size=40), min_size=1, max_size=70),
    group=st.integers(1, 80),
    order=st.lists(st.integers(0, 69), max_size=12),
)
@settings(deadline=None, max_examples=40)
def test_cells_are_those_of_pyarrow_in_any_order(tmp_path_factory, rows, group, order):
    path = tmp_path_factory.mktemp("cells") / "a.parquet"
    pq.write_table(
        pa.table({"n": list(range(len(rows))), "jpg": pa.array(rows, pa.binary())}), path, row_group_size=group
    )
    expected = pq.read_table(path)["jpg"].to_pylist()
    for number in [*range(len(rows)), *(number % len(rows) for number in order)]:
        if expected[number] is None:
            with pytest.raises(ValueError, match="null, not bytes"):
                parquet_cells.read_cell(str(path), f"{number}/jpg")
        else:
            assert parquet_cells.read_cell(str(path), f"{number}/jpg") == expected[number]


def test_a_file_that_was_replaced_is_read_anew(tmp_path):
    for content in (b"one", b"two", b"another"):
        pq.write_table(pa.table({"jpg": [content] * 3}), tmp_path / "a.parquet")
        assert parquet_cells.read_cell(str(tmp_path / "a.parquet"), "1/jpg") == content


@pytest.mark.parametrize(
    "place", ["3/jpg", "-1/jpg", "x/jpg", "0/png", "0", "", "0/jpg/bytes", "0/n", "0/image/path/x"]
)
def test_cells_that_are_not_there(tmp_path, place):
    table = {"jpg": [b"a", b"b", b"c"], "n": [1, 2, 3], "image": [{"path": "x"}] * 3}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet"):
        parquet_cells.read_cell(str(tmp_path / "a.parquet"), place)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        parquet_cells.read_cell(str(tmp_path / "a.parquet"), "0/jpg")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match="magic bytes"):
        parquet_cells.read_cell(str(tmp_path / "a.parquet"), "0/jpg")
