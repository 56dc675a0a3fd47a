"""Bytes of a page to text: the byte-order mark, UTF-8, the declared encoding, then Windows-1252."""

import codecs
import re

# The WHATWG standard makes a page declare its encoding within the first 1,024 bytes; some pages are late.
_HEAD_BYTES = 4096
_DECLARATION = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Labels that the WHATWG standard reads as a superset of what they name.
_SUPERSETS = {
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "tis-620": "cp874",
}
# Only encodings of real pages: Python also knows `unicode_escape`, `punycode` and others that change ordinary text.
_ACCEPTED = re.compile(r"utf-8|cp\d+|iso8859-\d+|iso2022_\w+|koi8-\w+|mac-\w+|big5\w*|gb18030|euc_\w+|hz")
_SEVEN_BIT = re.compile(r"iso2022_\w+|hz")
_SEVEN_BIT_SHIFTS = (b"\x1b", b"~{")  # without them, text of such an encoding is ASCII
_RUBBISH = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_MAX_RUBBISH = 0.002
_PLAIN = bytes(code for code in range(128) if not _RUBBISH.match(chr(code)))


def decode(encoded: bytes) -> str | None:
    """The text of a page, or None where no encoding gives one.

    Valid UTF-8 wins over the declared encoding: text of another encoding is hardly ever valid UTF-8 by chance, while
    wrong declarations are common. A page that is UTF-8 but for a few broken characters loses only these.
    """
    for bom, name in _BOMS:
        if encoded.startswith(bom):
            return _accept(encoded.decode(name, errors="replace"))
    if any(shift in encoded for shift in _SEVEN_BIT_SHIFTS):
        declared = declared_encoding(encoded)
        if declared and _SEVEN_BIT.fullmatch(declared) and (text := _strict(encoded, declared)) is not None:
            return _accept(text)
    if (text := _strict(encoded, "utf-8")) is not None:
        return _accept(text)
    if (text := _mostly_utf8(encoded)) is not None:
        return text
    for name in (declared_encoding(encoded), "cp1252"):
        if name and name != "utf-8" and (text := _strict(encoded, name)) is not None:
            return _accept(text)
    return _accept(encoded.decode("latin-1"))


def declared_encoding(encoded: bytes) -> str | None:
    """Python's name of the encoding that the page says it has, or None: nothing said, or nothing that is known."""
    match = _DECLARATION.search(encoded[:_HEAD_BYTES])
    if not match:
        return None
    try:
        name = codecs.lookup(match[1].decode("ascii")).name
    except LookupError:
        return None
    name = _SUPERSETS.get(name, name)
    return name if _ACCEPTED.fullmatch(name) else None


def _strict(encoded: bytes, name: str) -> str | None:
    try:
        return encoded.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None


def _mostly_utf8(encoded: bytes) -> str | None:
    """UTF-8 without its broken characters, if there are at least ten good non-ASCII characters to each broken one."""
    text = encoded.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", errors="ignore")) - broken
    return text.replace("\ufffd", "") if good >= 10 * broken else None


def _accept(text: str) -> str | None:
    """None for rubbish: more than two control or replacement characters in a thousand."""
    suspects = text.encode(errors="replace").translate(None, _PLAIN).decode()  # to search the whole text takes longer
    return None if len(_RUBBISH.findall(suspects)) > _MAX_RUBBISH * len(text) else text
