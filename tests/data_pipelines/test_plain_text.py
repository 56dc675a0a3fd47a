"""Plain text: documents are texts as they are."""

import itertools
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.formats import plain_text
from data_pipelines.formats.plain_text import PlainTextConfig
from data_pipelines.output import BuildError
from flamingo_jax.data.document import Text
from tests.data_pipelines.fixtures_results import sort
from tests.data_pipelines.test_json_lines import COMPRESSIONS, zipped


def read(folder, config=PlainTextConfig()):  # noqa: B008
    shards = plain_text.shards(str(folder), config)
    documents, drops = sort(itertools.chain.from_iterable(plain_text.read(shard, config) for shard in shards))
    assert all(len(items) == 1 for items in documents.values())
    return {key: items[0].text for key, items in documents.items()}, drops


def test_layouts(tmp_path):
    verse = "One\n    two,\n\n\n\tthree."
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text(f"\ufeff\n{verse}\n", encoding="utf-8")
    (tmp_path / "books" / "b.txt").write_bytes("Café".encode("latin-1"))
    (tmp_path / "c.jsonl").write_text(f'{json.dumps({"text": verse, "id": 1})}\n\n{{"text": "Two"}}\n')
    pq.write_table(pa.table({"id": [1, 2], "text": ["One", verse]}), tmp_path / "d.parquet", row_group_size=1)
    (tmp_path / "notes.md").write_text("not read")
    assert read(tmp_path) == (
        {
            "books/a.txt": verse,
            "books/b.txt": "Café",
            "c.jsonl/1": verse,
            "c.jsonl/3": "Two",
            "d.parquet/0": "One",
            "d.parquet/1": verse,
        },
        {},
    )


@pytest.mark.parametrize("name", [name for name in COMPRESSIONS if not name.startswith("zip")])
def test_compressed(tmp_path, name):
    (tmp_path / "a.json.gz").write_bytes(COMPRESSIONS[name](b'{"text": "One"}\n'))
    (tmp_path / "b.txt.gz").write_bytes(COMPRESSIONS[name](b"Two"))
    assert read(tmp_path) == ({"a.json.gz/1": "One", "b.txt.gz": "Two"}, {})


def test_zips_of_texts_and_of_lines(tmp_path):
    (tmp_path / "a.txt.zip").write_bytes(zipped(b"One", **{"y.txt": b"Two", "z.txt": b""}))
    (tmp_path / "b.jsonl.zip").write_bytes(zipped(b'{"text": "Three"}\n'))
    texts, drops = read(tmp_path)
    assert texts == {"a.txt.zip/0": "One", "a.txt.zip/1": "Two", "b.jsonl.zip/1": "Three"}
    assert drops == {("text_empty", "document"): 1}


def test_odd_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_text, "_MAX_BYTES", 1000)
    (tmp_path / "a.txt").write_bytes(bytes(range(256)))
    (tmp_path / "b.txt").write_bytes(b" \n")
    (tmp_path / "c.txt").write_bytes(b"long " * 201)
    values = ['{"text": null}', '{"text": 7}', '{"text": " "}', '{"body": "x"}', "7", "{", r'{"text": "a\ud800b"}']
    (tmp_path / "d.jsonl").write_text("\n".join([*values, ""]))
    pq.write_table(pa.table({"text": ["One", None, ""]}), tmp_path / "e.parquet")
    pq.write_table(pa.table({"body": ["One", "Two"]}), tmp_path / "f.parquet")
    texts, drops = read(tmp_path)
    assert texts == {"d.jsonl/7": "a\ufffdb", "e.parquet/0": "One"}
    assert drops == {
        ("text_undecodable", "document"): 1,
        ("text_too_many_bytes", "document"): 1,
        ("text_empty", "document"): 3,
        ("text_null", "document"): 2,
        ("text_not_a_string", "document"): 1,
        ("text_missing", "document"): 1,
        ("record_not_an_object", "document"): 1,
        ("record_not_json", "document"): 1,
        ("columns_missing", "document"): 1,
    }


def test_the_key_of_the_text_can_be_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "no", "body": "One"}\n')
    pq.write_table(pa.table({"text": ["no"], "body": ["Two"]}), tmp_path / "b.parquet")
    assert read(tmp_path, PlainTextConfig(text_key="body")) == ({"a.jsonl/1": "One", "b.parquet/0": "Two"}, {})


def test_a_column_of_another_type(tmp_path):
    pq.write_table(pa.table({"text": [1, None, 3]}), tmp_path / "a.parquet")
    assert read(tmp_path)[1] == {("text_not_a_string", "document"): 2, ("text_null", "document"): 1}


@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.gz"])
def test_a_cut_shard_is_one_drop(tmp_path, name):
    content = COMPRESSIONS["gzip"](b'{"text": "One"}\n')
    (tmp_path / name).write_bytes(content[:-9])
    texts, drops = read(tmp_path)
    assert drops == {("shard_truncated", "document"): 1}
    assert list(texts.values()) == (["One"] if name == "a.jsonl.gz" else [])


def test_input_without_text(tmp_path):
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(BuildError, match="has no file of text"):
        plain_text.shards(str(tmp_path), PlainTextConfig())


@given(st.lists(st.text(), max_size=8))
@settings(deadline=None)
def test_texts_come_back_whole(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": value}) + "\n" for value in values))
    pq.write_table(pa.table({"text": pa.array(values, pa.string())}), folder / "b.parquet")
    kept = [stripped for value in values if (stripped := value.strip().strip("\ufeff").strip())]
    texts, drops = read(folder)
    assert list(texts.values()) == kept * 2
    assert sum(drops.values()) == 2 * (len(values) - len(kept))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("text"), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6))
@settings(deadline=None)
def test_arbitrary_json_never_raises(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("json")
    (folder / "a.jsonl").write_text("".join(json.dumps(value) + "\n" for value in values))
    documents, drops = sort(plain_text.read(str(folder / "a.jsonl"), PlainTextConfig()))
    assert len(documents) + sum(drops.values()) == len(values)
    assert all(isinstance(items[0], Text) and items[0].text.encode() for items in documents.values())
