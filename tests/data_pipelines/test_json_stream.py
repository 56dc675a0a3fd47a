"""A JSON value in elements: the same as `json` has them, however the text falls into pieces."""

import io
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.containers import json_stream
from data_pipelines.output import BuildError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def flat(value) -> list:
    """What `elements` should give, from the value as a whole."""
    if isinstance(value, list):
        return [("", element) for element in value]
    parts = [(key, member if isinstance(member, list) else [member]) for key, member in value.items()]
    return [(key, element) for key, members in parts for element in members]


@given(
    st.lists(VALUES, max_size=5) | st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    st.integers(1, 50),
    st.sampled_from([None, 2]),
    st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_elements_are_those_of_the_whole(value, chunk, indent, is_ascii):
    text = json.dumps(value, indent=indent, ensure_ascii=is_ascii)
    encoded = text.encode(errors="surrogatepass" if is_ascii else "strict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        reader = json_stream._Reader("x", json_stream.as_text(io.BytesIO(encoded)))
        assert list(reader.top()) == flat(value)


@given(st.lists(VALUES, min_size=1, max_size=4) | st.dictionaries(st.text(max_size=5), VALUES, min_size=1), st.data())
@settings(max_examples=100, deadline=None)
def test_a_text_that_is_cut_off_is_an_error(value, data):
    text = json.dumps(value)
    short = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(BuildError):
        list(json_stream._Reader("x", io.StringIO(short)).top())


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "large.json"
    record = json.dumps({"caption": "x" * 1000})
    path.write_text("[" + ",".join([record] * 20_000) + "]")  # 20 MB
    tracemalloc.start()
    try:
        assert sum(1 for _ in json_stream.elements(str(path))) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_an_element_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "_CHUNK", 1000)
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 10_000)
    path = tmp_path / "open.json"
    path.write_text('[1, "' + "x" * 1_000_000)
    with pytest.raises(BuildError, match=r"character 4 on: an element of more than 10,000 characters"):
        list(json_stream.elements(str(path)))
