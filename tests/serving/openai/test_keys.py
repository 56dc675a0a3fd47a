"""The file of keys: what is read from it, and what is refused before the model loads."""

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.keys import read_keys


@pytest.mark.parametrize(
    "content", [b"one\n\n two \n", b"\xef\xbb\xbfone\ntwo", b"one\r\ntwo\r\n"], ids=["plain", "with a mark", "Windows"]
)
def test_keys_are_one_a_line(tmp_path, content):
    (tmp_path / "keys").write_bytes(content)
    assert read_keys(str(tmp_path / "keys")) == ("one", "two")


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"\n", "has no key"),
        (b"\xef\xbb\xbf", "has no key"),
        ("one\nschlüssel".encode(), "line 2"),
        (b"one\ttwo", "line 1"),
        ("schlüssel".encode("latin-1"), "not text in UTF-8"),
        ("one".encode("utf-16"), "not text in UTF-8"),
    ],
)
def test_files_that_cannot_be_used_are_refused_in_one_line_without_the_key(tmp_path, content, reason):
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ConfigError, match=reason) as refused:
        read_keys(str(tmp_path / "keys"))
    assert str(refused.value).startswith("--api_key_file=") and "schl" not in str(refused.value)


@pytest.mark.parametrize("name, reason", [("none", "No such file"), ("", "s a directory")])
def test_files_that_cannot_be_read_are_refused(tmp_path, name, reason):
    with pytest.raises(ConfigError, match=f"cannot be read .*{reason}"):
        read_keys(str(tmp_path / name))


@pytest.mark.parametrize("key", ["", "schlüssel", "a\nb"])
def test_keys_that_headers_cannot_carry_are_refused(key):
    with pytest.raises(ConfigError, match=r"ServerConfig\.keys"):
        ServerConfig("tiny", keys=("fine", key))
