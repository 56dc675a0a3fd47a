"""What a file is, told by its first bytes: servers' Content-Type headers are often wrong, and sometimes lies."""

import codecs

IMAGE_TYPES = ("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif")
HTML = "html"
NEEDED = 512  # bytes; enough for every test here
_MIME = {HTML: "text/html"}
# The tags by which browsers tell HTML, and their white space (WHATWG MIME Sniffing, 7.1).
_TAGS = (
    *(b"<!doctype html", b"<html", b"<head", b"<script", b"<iframe", b"<h1", b"<div", b"<font", b"<table", b"<a"),
    *(b"<style", b"<title", b"<b", b"<body", b"<br", b"<p", b"<!--"),
)
_SPACE = b"\t\n\x0c\r "
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_PAGE_HEADERS = ("text/html", "application/xhtml+xml")


def mime(kind: str) -> str:
    """The MIME type of what `image` or `page` returned."""
    return _MIME.get(kind, f"image/{kind}")


def image(head: bytes) -> str | None:
    """Which of `IMAGE_TYPES` begins so, or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith(b"BM") and head[6:10] == bytes(4):  # four reserved bytes: two letters alone begin many texts
        return "bmp"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "tiff"
    return "avif" if _is_avif(head) else None


def _is_avif(head: bytes) -> bool:
    """Whether the first box is `ftyp` and names an AVIF brand (a still or a sequence)."""
    if head[4:8] != b"ftyp":
        return False
    brands = head[8:12] + head[16 : min(int.from_bytes(head[:4], "big"), NEEDED)]
    return any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


def page(head: bytes, content_type: str) -> str | None:
    """ "html" if a file that begins so is a page, or None.

    Args:
      head: the first bytes.
      content_type: what the server says. A page without a known tag at its beginning is believed to be one if it is
        called so and is text.
    """
    text = head
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            text = head[len(mark) :].decode(encoding, "replace").encode()
            break
    start = text.lstrip(_SPACE).lower()
    # A tag ends with a space or a bracket, so that <p> is one and <plist> is not.
    for tag in _TAGS:
        if start.startswith(tag) and (tag == b"<!--" or start[len(tag) : len(tag) + 1] in (b"", b" ", b">", b"\n")):
            return HTML
    called_so = content_type.partition(";")[0].strip().lower() in _PAGE_HEADERS
    return HTML if called_so and b"\0" not in text and image(head) is None else None
