"""Annotation files: what is read, and the one message that names the file and the record where one is damaged."""

import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_csv, read_json, read_json_lines


def _file(tmp_path, content: str | bytes, name: str = "file.json") -> epath.Path:
    path = epath.Path(tmp_path) / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_json_is_read_as_it_is_and_without_a_byte_order_mark(tmp_path):
    content = {"a": [1, 2.5, None, "\u2028 é"], "b": {"c": True}}
    assert read_json(_file(tmp_path, "\ufeff" + json.dumps(content, ensure_ascii=False))) == content


def test_what_keep_returns_stands_in_the_place_of_each_object_inner_ones_first(tmp_path):
    path = _file(tmp_path, '{"answers": [{"answer": "net", "id": 1}, {"answer": "no", "id": 2}]}')
    assert read_json(path, keep=lambda record: record.get("answer", record)) == {"answers": ["net", "no"]}


@pytest.mark.parametrize("content", ['{"images": [{"id": 1}, {"i', "", "<html>Not found</html>"])
def test_a_truncated_json_file_is_named(tmp_path, content):
    with pytest.raises(ConfigError, match=r"file\.json is not complete JSON .* cut short"):
        read_json(_file(tmp_path, content))


def test_bytes_that_are_no_text_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"file\.json is not UTF-8 text \(byte 1\)"):
        read_json(_file(tmp_path, b"P\xff\x03"))


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"other\.json cannot be read: No such file"):
        read_json(epath.Path(tmp_path) / "other.json")


def test_json_lines_skip_blank_lines_and_keep_separators_inside_texts(tmp_path):
    path = _file(tmp_path, '{"id": 1, "text": "a\u2028b"}\r\n\n{"id": 2}\n')
    assert read_json_lines(path) == [{"id": 1, "text": "a\u2028b"}, {"id": 2}]


@pytest.mark.parametrize(
    ("second", "message"),
    [('{"id": 2, "te', "line 2 is not JSON"), ("[1]", "line 2 is not a JSON object. Was its download")],
)
def test_a_damaged_line_is_named(tmp_path, second, message):
    with pytest.raises(ConfigError, match=rf"file\.json, {message}"):
        read_json_lines(_file(tmp_path, '{"id": 1}\n' + second))


def test_csv_rows_have_the_names_of_the_header(tmp_path):
    path = _file(tmp_path, '\ufeffvideo,question\n1,"who, then?\nhe?"\n\n2,"a ""b"" c"\n')
    rows = [{"video": "1", "question": "who, then?\nhe?"}, {"video": "2", "question": 'a "b" c'}]
    assert read_csv(path, ["question", "video"]) == rows


def test_csv_with_other_delimiters(tmp_path):
    assert read_csv(_file(tmp_path, "a\tb\n1,0\t2\n"), ["a"], delimiter="\t") == [{"a": "1,0", "b": "2"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("video,question\n1,who\n2", "line 3: 1 fields instead of 2"),
        ("video,question\n1,who,what\n", "line 2: 3 fields instead of 2"),
        ('video,question\n1,"who', "line 2 is not complete CSV"),
    ],
)
def test_a_damaged_row_is_named(tmp_path, content, message):
    with pytest.raises(ConfigError, match=rf"file\.csv, {message}"):
        read_csv(_file(tmp_path, content, "file.csv"), ["video", "question"])


def test_missing_columns_are_named_beside_those_that_are_there(tmp_path):
    with pytest.raises(ConfigError, match=r'file\.csv has no column "answer"; its header has "video", "question"'):
        read_csv(_file(tmp_path, "video,question\n", "file.csv"), ["video", "answer"])


def test_fields_of_the_kind_are_given():
    path = epath.Path("f.json")
    record = {"id": 4, "name": "n", "weight": 1, "seen": True}
    assert field(record, "id", int, path, 0) == 4
    assert field(record, "id", (int, str), path, 0) == 4
    assert field(record, "weight", float, path, 0) == 1
    assert field(record, "seen", bool, path, 0) is True


@pytest.mark.parametrize(
    ("record", "name", "kind", "message"),
    [
        ({"id": 4, "x": 1}, "name", str, r'f\.json, record 7: there is no "name" \(it has "id", "x"\)'),
        ({"id": "4"}, "id", int, r'f\.json, record 7: "id" is a text instead of a whole number'),
        ({"id": None}, "id", (int, str), r'f\.json, record 7: "id" is null instead of a whole number or a text'),
        ({"id": True}, "id", int, r'"id" is true/false instead of a whole number'),
        ({"id": 1.5}, "id", int, r'"id" is a number instead of a whole number'),
        ([1], "id", int, r"f\.json, record 7: it is a list instead of an object"),
    ],
)
def test_other_fields_are_named_with_their_record(record, name, kind, message):
    with pytest.raises(ConfigError, match=message):
        field(record, name, kind, epath.Path("f.json"), 7)


def test_a_record_may_be_named_by_words():
    with pytest.raises(ConfigError, match=r"f\.json, question 9: there is no"):
        field({}, "name", str, epath.Path("f.json"), "question 9")
