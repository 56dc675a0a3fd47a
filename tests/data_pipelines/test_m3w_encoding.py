"""Bytes to text: right text in spite of wrong declarations, and nothing out of rubbish."""

import pytest

from data_pipelines.m3w.encoding import declared_encoding, decode

TEXT = "Café – naïve “quotes”, £5 and Žižek. " * 3


def page(charset: str) -> str:
    return f'<html><head><meta charset="{charset}"></head><body><p>{TEXT}</p></body></html>'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_wins(encoding):
    assert decode(page("iso-8859-1").encode(encoding)) == page("iso-8859-1")


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "no-such-thing", "utf-8", "punycode", "utf-16"])
def test_valid_utf8_is_read_as_such_whatever_is_declared(declared):
    assert TEXT in decode(page(declared).encode("utf-8"))


@pytest.mark.parametrize("declared", ["windows-1252", "ISO-8859-1", "us-ascii", "utf-8", ""])
def test_windows_1252_under_each_of_its_usual_declarations(declared):
    assert TEXT in decode(page(declared).encode("cp1252"))


@pytest.mark.parametrize(
    ("declared", "encoding", "text"),
    [
        ("windows-1251", "cp1251", "Привет, мир"),
        ("koi8-r", "koi8-r", "Привет, мир"),
        ("Shift_JIS", "cp932", "これは日本語です"),
        ("gb2312", "gb18030", "这是中文"),
        ("iso-2022-jp", "iso2022_jp", "これは日本語です"),
        ("iso-8859-2", "iso8859-2", "žluťoučký kůň"),
    ],
)
def test_declared_encodings(declared, encoding, text):
    assert text in decode(f'<meta charset="{declared}"><p>{text}</p>'.encode(encoding))


def test_a_few_broken_characters_do_not_spoil_utf8():
    encoded = page("utf-8").encode().replace("Ž".encode(), b"\xc5", 1)
    text = decode(encoded)
    assert text.count("Café") == 3 and text.count("Žižek") == 2 and "\ufffd" not in text


@pytest.mark.parametrize(
    "encoded",
    [
        bytes(range(256)) * 4,
        "<p>no byte-order mark</p>".encode("utf-16-le"),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"\xff\xfe" + b"\x00\xd8" * 50,
    ],
)
def test_rubbish_is_refused(encoded):
    assert decode(encoded) is None


def test_declarations():
    assert declared_encoding(b'<?xml version="1.0" encoding="KOI8-R"?>') == "koi8-r"
    assert declared_encoding(b'<meta http-equiv=Content-Type content="text/html; charset=latin1">') == "cp1252"
    assert declared_encoding(b"<meta charset=unicode_escape>") is None
    assert declared_encoding(b"<p>nothing</p>") is None
