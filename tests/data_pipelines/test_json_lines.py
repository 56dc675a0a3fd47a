"""JSON lines, plain and compressed, whole and damaged."""

import bz2
import errno
import gzip
import io
import json
import lzma
import struct
import zipfile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.containers import json_lines
from data_pipelines.pipeline.sketch import Drop

RECORDS = [{"text": f"Text {number}", "number": number} for number in range(200)]
PLAIN = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED, **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.mkdir("folder") if hasattr(archive, "mkdir") else archive.writestr("folder/", b"")
        archive.writestr("folder/x.jsonl", content)
        archive.writestr("__MACOSX/folder/._x.jsonl", b"\0\5\x16\7")
        for name, other in more.items():
            archive.writestr(name, other)
    return buffer.getvalue()


def stored(content: bytes) -> bytes:
    return zipped(content, zipfile.ZIP_STORED)


COMPRESSIONS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip of several members": lambda content: gzip.compress(content[:3000]) + gzip.compress(content[3000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "zstd of several frames": lambda content: zstd(content[:3000]) + zstd(content[3000:]),
    "zip": zipped,
    "zip without compression": stored,
}


def read(path) -> tuple[list, list[Drop]]:
    results = list(json_lines.read(str(path), "document"))
    return [one for one in results if not isinstance(one, Drop)], [one for one in results if isinstance(one, Drop)]


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_compressions_are_known_by_content(tmp_path, name):
    (tmp_path / "x").write_bytes(COMPRESSIONS[name](PLAIN))
    assert read(tmp_path / "x") == (list(enumerate(RECORDS, 1)), [])


def test_all_files_of_a_zip_are_read(tmp_path):
    (tmp_path / "x").write_bytes(zipped(PLAIN, **{"y.jsonl": PLAIN, ".hidden": PLAIN}))
    assert read(tmp_path / "x") == (list(enumerate(RECORDS * 2, 1)), [])


@pytest.mark.parametrize("name", COMPRESSIONS)
@given(share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=25)
def test_a_cut_file_gives_what_stands_before_and_one_drop(tmp_path_factory, name, share):
    content = COMPRESSIONS[name](PLAIN)
    cut = int(share * len(content))
    path = tmp_path_factory.mktemp("cut") / "x"
    path.write_bytes(content[:cut])
    found, drops = read(path)
    assert found == list(enumerate(RECORDS, 1))[: len(found)]
    if name == "plain":
        assert len(found) == PLAIN[: cut + 1].count(b"\n")
        return
    if name == "zip without compression":
        assert len(found) == content[:cut].count(b"}\n")
    # Between two members a file is whole, but their border is within a line.
    assert [drop.rule for drop in drops] == (["shard_truncated"] if cut else [])


def test_damaged_lines(tmp_path):
    lines = [
        b"{}",
        b"",
        b"  ",
        b"{]",
        b"[]",
        b"null",
        b'"a"',
        b"[" * 99_999,
        b"9" * 9_999,
        b"\xff\xfe",
        b"{}\r",
        b'{"a":',
    ]
    (tmp_path / "x").write_bytes(b"\n".join(lines))
    found, drops = read(tmp_path / "x")
    assert found == [(1, {}), (11, {})]
    assert [drop.rule for drop in drops] == [
        "record_not_json",
        *["record_not_an_object"] * 3,
        *["record_not_json"] * 3,
        "shard_truncated",
    ]
    assert drops[0].example.endswith("x, line 4")


def test_a_last_line_without_its_end_counts(tmp_path):
    (tmp_path / "x").write_bytes(b'{"a": 1}\n{"a": 2}')
    assert read(tmp_path / "x") == ([(1, {"a": 1}), (2, {"a": 2})], [])


def test_lines_without_end_are_not_kept_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "MAX_RECORD_BYTES", 1000)
    (tmp_path / "x").write_bytes(gzip.compress(b'{"a": 1}\n' + b"x" * 2501 + b'\n{"a": 2}\n' + b"y" * 1001))
    found, drops = read(tmp_path / "x")
    assert found == [(1, {"a": 1}), (3, {"a": 2})]
    assert [drop.rule for drop in drops] == ["record_too_many_bytes"] * 2


@pytest.mark.parametrize(("field", "value"), [(28, 0), (32, 255)])
def test_a_zip_whose_table_hides_its_file_is_one_drop(tmp_path, field, value):
    content = bytearray(zipped(PLAIN))
    # Of the first entry, a folder: no name, or a remark that covers the second entry.
    content[content.find(b"PK\x01\x02") + field] = value
    (tmp_path / "x").write_bytes(content)
    assert [drop.rule for drop in read(tmp_path / "x")[1]] == ["shard_truncated"]


def test_an_encrypted_zip_is_one_drop(tmp_path):
    content = bytearray(stored(PLAIN))
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = content.find(mark)
        while position >= 0:
            content[position + flags] |= 1
            position = content.find(mark, position + 1)
    (tmp_path / "x").write_bytes(content)
    assert [drop.rule for drop in read(tmp_path / "x")[1]] == ["shard_truncated"]


def test_a_zip_that_points_before_its_beginning_is_one_drop(tmp_path):
    content = bytearray(stored(PLAIN))
    offset = content.rfind(b"PK\x05\x06") + 16  # of the table of contents, in the record at the end
    content[offset : offset + 4] = struct.pack("<I", struct.unpack_from("<I", content, offset)[0] + 1000)
    (tmp_path / "x").write_bytes(content)
    assert [drop.rule for drop in read(tmp_path / "x")[1]] == ["shard_truncated"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "disk"), ConnectionResetError("network"), TimeoutError()])
def test_errors_of_the_machine_are_no_drops(tmp_path, monkeypatch, error):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "x")

    def fail(path):
        raise error
        yield

    monkeypatch.setattr(json_lines.line_streams, "streams", fail)
    with pytest.raises(type(error)):
        read(tmp_path / "x")


@pytest.mark.parametrize("name", ["gzip", "zstd", "zip", "bzip2", "xz"])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_any_damage_ends_in_records_and_drops(tmp_path_factory, name, changes):
    content = bytearray(COMPRESSIONS[name](PLAIN))
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path_factory.mktemp("flip") / "x"
    path.write_bytes(content)
    found, drops = read(path)
    assert found or drops
