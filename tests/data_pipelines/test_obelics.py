"""OBELICS: what becomes of lists of texts and images, and what is counted."""

import itertools
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.formats import obelics
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Link
from flamingo_jax.data.document import Text
from tests.data_pipelines.fixtures_obelics import SCHEMA, row, write
from tests.data_pipelines.fixtures_results import sort

CONFIG = obelics.ObelicsConfig()
END = CONFIG.end_of_document
A, B, C = (f"https://example.org/{name}.jpg" for name in "abc")
NAME = "train-00000-of-01335.parquet"


def read(folder, config=CONFIG):
    shards = obelics.shards(str(folder), config)
    return sort(itertools.chain.from_iterable(obelics.read(shard, config) for shard in shards))


def read_rows(folder, *rows, config=CONFIG):
    write(folder / "data" / NAME, rows)
    return read(folder / "data", config)


def link(url: str) -> Link:
    return Link("image", (url,))


def test_texts_and_images_in_order(tmp_path):
    documents, drops = read_rows(
        tmp_path,
        row([A, None, B, None], [None, "One.\n\nTwo,\nstill two.\n \n\nThree. ", None, "Four."]),
        row([None, C], ["One.", None]),
    )
    assert drops == {}
    assert documents == {
        f"{NAME}/0": (link(A), Text("One."), Text("Two,\nstill two."), Text("Three."), link(B), Text("Four.")),
        f"{NAME}/1": (Text("One."), link(C)),
    }


ODD = {
    "null lists": ([None, None], {("list_null", "document"): 1}),
    "null images": ([None, ["One."]], {("list_null", "document"): 1}),
    "null texts": ([[A], None], {("list_null", "document"): 1}),
    "lengths": ([[A, None], [None, "One.", "Two."]], {("lengths_differ", "document"): 1}),
    "empty lists": ([[], []], {("document_without_images", "document"): 1}),
    "no image": ([[None], ["One."]], {("document_without_images", "document"): 1}),
    "no text": ([[A, B], [None, None]], {("document_without_text", "document"): 1}),
    "markers alone": ([[None], [f"{END}\n\n{END}"]], {}),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_documents_are_counted_and_lose_no_others(tmp_path, name):
    (images, texts), expected = ODD[name]
    good = row([A, None], [None, "One."])
    documents, drops = read_rows(tmp_path, good, row(images, texts), good)
    assert (list(documents), drops) == ([f"{NAME}/0", f"{NAME}/2"], expected)


ODD_ITEMS = {
    "both null": (None, None, ("image_and_text_null", "paragraph")),
    "both set": (B, "Two.", ("image_and_text_set", "paragraph")),
    "empty": (None, "", ("text_empty", "paragraph")),
    "blank": (None, " \n\n ", ("text_empty", "paragraph")),
    "twice": (A, None, ("image_repeated", "image")),
    "embedded": ("data:image/png;base64,AAAA", None, ("image_not_on_the_web", "image")),
    "a path": ("/pictures/a.jpg", None, ("image_not_on_the_web", "image")),
}


@pytest.mark.parametrize("name", ODD_ITEMS)
def test_odd_items_are_counted(tmp_path, name):
    image, text, expected = ODD_ITEMS[name]
    documents, drops = read_rows(tmp_path, row([A, image, None], [None, text, "One."]))
    assert (documents, drops) == ({f"{NAME}/0": (link(A), Text("One."))}, {expected: 1})


def test_an_empty_string_beside_a_text_is_no_image(tmp_path):
    documents, drops = read_rows(tmp_path, row([A, "", None], [None, "One.", "Two."]))
    assert (documents, drops) == ({f"{NAME}/0": (link(A), Text("One."), Text("Two."))}, {})


def test_markers_part_documents(tmp_path):
    texts = [None, f"One.\n\n{END}\n\nTwo.", None, f"{END}\n\n{END}", None, f"Three.\n\n{END}\n\nFour."]
    documents, drops = read_rows(tmp_path, row([A, None, B, None, A, None], texts))
    assert documents == {
        f"{NAME}/0": (link(A), Text("One.")),
        f"{NAME}/0-1": (Text("Two."), link(B)),
        f"{NAME}/0-3": (link(A), Text("Three.")),  # an image is repeated within its own document alone
    }
    assert drops == {("document_without_images", "document"): 1}  # "Four."
    whole = obelics.ObelicsConfig(end_of_document="")
    assert read_rows(tmp_path, row([A, None], [None, f"One. {END}"]), config=whole)[0] == {
        f"{NAME}/0": (link(A), Text(f"One. {END}"))
    }


def test_metadata_are_not_read(tmp_path):
    documents, drops = read_rows(tmp_path, row([A, None], [None, "One."], metadata="{not", general_metadata=None))
    assert (list(documents), drops) == ([f"{NAME}/0"], {})


def test_text_that_is_not_utf_8_costs_its_row(tmp_path):
    lists = {"images": [[A.encode(), None]] * 3, "texts": [[None, text] for text in (b"One.", b"\xff\xfe", b"Three.")]}
    columns = [pa.array(values, pa.list_(pa.binary())) for values in lists.values()]
    strings = [pa.ListArray.from_arrays(column.offsets, column.values.view(pa.string())) for column in columns]
    pq.write_table(pa.table(strings, names=list(lists)), tmp_path / NAME)
    documents, drops = read(tmp_path)
    assert (list(documents), drops) == ([f"{NAME}/0", f"{NAME}/2"], {("row_undecodable", "document"): 1})


def test_a_cut_file_is_one_drop(tmp_path):
    """Parquet keeps its table of contents at the end: of a file that lacks it nothing can be read."""
    path = write(tmp_path / NAME, [row([A, None], [None, "One."])] * 10, row_group_size=2)
    content = path.read_bytes()
    for cut in (5, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:cut])
        assert read(tmp_path) == ({}, {("shard_truncated", "document"): 1})
    path.write_bytes(b"<html>404 Not Found</html>")
    assert read(tmp_path) == ({}, {("shard_damaged", "document"): 1})


def test_a_damaged_row_group_costs_its_rows_alone(tmp_path):
    rows = [row([f"{A}?{number}", None], [None, f"Text {number}."]) for number in range(9)]
    path = write(tmp_path / NAME, rows, row_group_size=3)
    group = pq.ParquetFile(path).metadata.row_group(1)
    start = min(group.column(index).dictionary_page_offset for index in range(group.num_columns))
    content = bytearray(path.read_bytes())
    content[start : start + group.total_byte_size // 2] = b"\xff" * (group.total_byte_size // 2)
    path.write_bytes(content)
    documents, drops = read(tmp_path)
    assert [key.rpartition("/")[2] for key in documents] == ["0", "1", "2", "6", "7", "8"]
    assert drops == {("row_group_damaged", "document"): 3}


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_any_damage_ends_in_documents_and_drops(tmp_path_factory, changes):
    path = write(tmp_path_factory.mktemp("flip") / NAME, [row([A, None], [None, "One."])] * 12, row_group_size=4)
    content = bytearray(path.read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    path.write_bytes(content)
    documents, drops = sort(obelics.read(str(path), CONFIG))
    assert documents or drops


def test_other_tables_are_refused(tmp_path):
    write(tmp_path / NAME, [{"url": A, "text": "One."}], pa.schema([("url", pa.string()), ("text", pa.string())]))
    with pytest.raises(BuildError, match=r"is not OBELICS: .*no column images or texts among url, text"):
        obelics.shards(str(tmp_path), CONFIG)
    assert sort(obelics.read(str(tmp_path / NAME), CONFIG)) == ({}, {("columns_missing", "document"): 1})
    (tmp_path / NAME).rename(tmp_path / "x.txt")
    with pytest.raises(BuildError, match="has no Parquet file"):
        obelics.shards(str(tmp_path), CONFIG)


def by_brute_force(images: list, texts: list) -> list[tuple]:
    """The documents of a row, by way of one long string."""
    flat = ""
    for image, text in zip(images, texts, strict=True):
        if not (image and text):
            flat += f"\n\n<{image}>\n\n" if image else f"\n\n{text or ''}\n\n"
    documents = []
    for part in flat.split(END):
        found = []
        for paragraph in re.split(r"\n\s*\n", part):
            if not paragraph.startswith("<"):
                found += [Text(paragraph.strip())] if paragraph.strip() else []
            elif paragraph[1:-1] in ADDRESSES and link(ADDRESSES[paragraph[1:-1]]) not in found:
                found.append(link(ADDRESSES[paragraph[1:-1]]))
        if {type(item) for item in found} == {Text, Link}:
            documents.append(tuple(found))
    return documents


ADDRESSES = {A: A, B: B, "https://example.org/é.jpg": "https://example.org/%C3%A9.jpg"}
TEXTS = st.none() | st.text(st.sampled_from("ab \n"), max_size=12) | st.just(f"x\n\n{END}\n\ny")
IMAGES = st.none() | st.sampled_from([*ADDRESSES, "", "no address", "//["])
ROWS = st.none() | st.lists(st.tuples(IMAGES, TEXTS), max_size=6)


@given(st.lists(ROWS, max_size=8))
@settings(deadline=None, max_examples=80)
def test_documents_are_those_of_brute_force(tmp_path_factory, rows):
    lists = [(None, None) if one is None else tuple(zip(*one, strict=True)) or ((), ()) for one in rows]
    path = write(tmp_path_factory.mktemp("any") / NAME, [row(*both) for both in lists], row_group_size=3)
    results = sort(obelics.read(str(path), CONFIG))[0]
    read_back = pq.read_table(path, schema=SCHEMA).to_pylist()
    expected = [
        document
        for one in read_back
        if one["texts"] is not None
        for document in by_brute_force(one["images"], one["texts"])
    ]
    assert list(results.values()) == expected
