"""What answers bring: each way to misbehave has its rule, and ends within its limits of bytes and time."""

import gzip
import json
import time
import zlib
from pathlib import Path

import brotli
import pytest

from data_pipelines.fetching import bodies
from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline import references
from tests.data_pipelines.fetching.fetches import IMPATIENT, Names, encoded, outcome, run
from tests.data_pipelines.fetching.server import Endless, Reset, reply

PNG = encoded("PNG")
HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(PNG + bytes(5_000_000))


def raw_deflate(content: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(content) + squeeze.flush()


def test_an_image_is_kept_as_it_came(server, store):
    server.routes["/a.png?x=1"] = reply(PNG, Content_Type="image/png")
    url = server.url("/a.png?x=1")
    (result,) = run([url + "#part"], store)
    assert (result.outcome, result.size) == ("fetched", len(PNG))
    assert references.read(result.reference) == PNG
    assert store.lookup(url) == result.reference
    record = json.loads(Path(result.reference.path).with_suffix(".json").read_text())
    assert record == {
        "url": url + "#part", "final_url": url, "status": 200, "type": "image/png", "bytes": len(PNG)
    }  # fmt: skip


LASTING = {
    "text": (reply(b"hello " * 200), "fetch_wrong_type"),
    "short text": (reply(b"hi", Content_Type="image/png"), "fetch_wrong_type"),
    "page called a picture": (reply(b"<!doctype html><p>x", Content_Type="image/jpeg"), "fetch_wrong_type"),
    "svg": (reply(b"<svg xmlns='http://www.w3.org/2000/svg'/>", Content_Type="image/svg+xml"), "fetch_wrong_type"),
    "wrong type without end": ((HEAD + b"\r\n", Endless(b"nothing of interest ")), "fetch_wrong_type"),
    "endless": ((HEAD + b"\r\n" + PNG, Endless(bytes(10_000))), "fetch_too_large"),
    "endless chunks": (
        (
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + PNG[:8] + b"\r\n",
            Endless(b"400\r\n" + bytes(1024) + b"\r\n"),
        ),
        "fetch_too_large",
    ),
    "huge length": ((HEAD + b"Content-Length: 99999999999999\r\n\r\n" + PNG, 5.0), "fetch_too_large"),
    "one byte too many": (reply(PNG + bytes(100_001 - len(PNG))), "fetch_too_large"),
    "bomb": (reply(BOMB, Content_Encoding="gzip"), "fetch_too_large"),
    "much that decodes to nothing": (
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", Endless(gzip.compress(b"") * 100)), "fetch_too_large"
    ),
    "bomb in a bomb": (reply(gzip.compress(BOMB), Content_Encoding="gzip, gzip"), "fetch_bad_encoding"),
    "not gzip": (reply(PNG, Content_Encoding="gzip"), "fetch_bad_encoding"),
    "half a gzip file": (reply(gzip.compress(PNG)[:-20], Content_Encoding="gzip"), "fetch_bad_encoding"),
    "brotli": (reply(brotli.compress(PNG), Content_Encoding="br"), "fetch_bad_encoding"),
    "empty": (reply(), "fetch_empty"),
    "empty gzip": (reply(gzip.compress(b""), Content_Encoding="gzip"), "fetch_empty"),
    "204": ((b"HTTP/1.1 204 No Content\r\n\r\n",), "fetch_empty"),
    "404": (reply(PNG, "404 Not Found"), "fetch_not_found"),
    "410": (reply(PNG, "410 Gone"), "fetch_not_found"),
    "403": (reply(PNG, "403 Forbidden"), "fetch_http_error"),
    "206": (reply(PNG, "206 Partial Content"), "fetch_http_error"),
    "304": ((b"HTTP/1.1 304 Not Modified\r\n\r\n",), "fetch_http_error"),
}  # fmt: skip
PASSING = {
    "500": (reply(PNG, "500 Oops"), "fetch_http_error"),
    "429": (reply(PNG, "429 Slow Down"), "fetch_http_error"),
    "slow status line": ((0.5, HEAD + b"\r\n" + PNG), "fetch_timeout"),
    "slow headers": (
        (HEAD, *(step for at in range(20) for step in (f"X-{at}: 1\r\n".encode(), 0.1))), "fetch_timeout"
    ),
    "trickle": ((HEAD + b"\r\n", *(step for byte in PNG[:20] for step in (bytes([byte]), 0.1))), "fetch_timeout"),
    "silence": ((HEAD + b"Content-Length: 500\r\n\r\n" + PNG[:100], 0.5), "fetch_timeout"),
    "too short": ((HEAD + b"Content-Length: 5000\r\n\r\n" + PNG,), "fetch_connection"),
    "reset": ((HEAD + b"Content-Length: 5000\r\n\r\n" + PNG[:100], 0.02, Reset()), "fetch_connection"),
    "reset at once": ((Reset(),), "fetch_connection"),
    "closed at once": ((), "fetch_connection"),
    "bad chunk": ((HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + PNG,), "fetch_connection"),
    "open chunk": (
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\n" + PNG[:16] + b"\r\n",), "fetch_connection"
    ),
    "no HTTP": ((b"SSH-2.0-OpenSSH_9.2\r\n" * 3,), "fetch_connection"),
    "bad length": ((HEAD + b"Content-Length: -5\r\n\r\n",), "fetch_connection"),
    "long header": ((HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",), "fetch_connection"),
    "endless headers": ((HEAD, Endless(b"X: y\r\n" * 100)), "fetch_connection"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "rule"), LASTING.values(), ids=LASTING)
def test_what_another_run_would_not_mend_is_not_asked_for_again(server, store, script, rule):
    server.routes["/a"] = script
    for _ in range(2):
        assert outcome(server.url("/a"), store) == rule
    assert store.lookup(server.url("/a")) == rule
    assert server.asked() == ["/a"]


@pytest.mark.parametrize(("script", "rule"), PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again_by_the_next_run(server, store, script, rule):
    server.routes["/a"] = [script, reply(PNG)]
    start = time.monotonic()
    assert outcome(server.url("/a"), store, **IMPATIENT if rule == "fetch_timeout" else {}) == rule
    assert time.monotonic() - start < 5
    assert store.lookup(server.url("/a")) is None
    assert outcome(server.url("/a"), store) == "fetched"
    assert server.asked() == ["/a", "/a"]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_images_are_told_by_their_bytes(server, store, form):
    server.routes["/a"] = reply(encoded(form), Content_Type="text/html")
    assert outcome(server.url("/a"), store) == "fetched"


def test_types_can_be_left_out(server, store):
    server.routes["/a"] = reply(PNG)
    assert outcome(server.url("/a"), store, image_types=("jpeg",)) == "fetch_wrong_type"


PACKED = {
    "gzip": ("gzip", gzip.compress(PNG)),
    "members": ("gzip", gzip.compress(PNG[:50]) + gzip.compress(PNG[50:])),
    "padded": ("x-gzip", gzip.compress(PNG) + bytes(100)),
    "zlib": ("deflate", zlib.compress(PNG)),
    "raw": ("deflate", raw_deflate(PNG)),
}


@pytest.mark.parametrize(("encoding", "packed"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_compressed_bodies(server, store, encoding, packed, at_once):
    head = HEAD + f"Content-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    server.routes["/a"] = (head, *(packed[at : at + at_once] for at in range(0, len(packed), at_once)))
    (result,) = run([server.url("/a")], store)
    assert result.outcome == "fetched"
    assert references.read(result.reference) == PNG


def test_little_is_read_of_what_is_not_kept(server, store):
    """The server would send 80 MB; it is stopped when the buffers between it and the client are full."""
    for path, beginning in (("/wrong", b"nothing of interest"), ("/large", PNG)):
        server.routes[path] = (HEAD + b"\r\n" + beginning, *[bytes(100_000)] * 400)
        run([server.url(path)], store)
    assert store.lookup(server.url("/wrong")) == "fetch_wrong_type"
    assert store.lookup(server.url("/large")) == "fetch_too_large"
    assert server.sent < 40_000_000


def test_a_bomb_is_not_decoded_beyond_the_limit():
    decode = bodies.decoder("gzip")
    assert decode.feed(BOMB, 1000) == (PNG + bytes(1000))[:1000]
    assert len(decode.feed(BOMB, 7)) <= 7


def test_pages(server, tmp_path):
    store = ImageStore(tmp_path, "page")
    page = b"<html><body><p>Text</p></body></html>"
    server.routes["/page"] = reply(gzip.compress(page), Content_Encoding="gzip")
    server.routes["/called"] = reply(b"Just text.", Content_Type="text/html; charset=utf-8")
    server.routes["/text"] = reply(b"Just text.", Content_Type="text/plain")
    server.routes["/picture"] = reply(PNG, Content_Type="text/html")
    found = {result.url: result for result in run(map(server.url, server.routes), store)}
    outcomes = [found[server.url(path)].outcome for path in server.routes]
    assert outcomes == ["fetched", "fetched", "fetch_wrong_type", "fetch_wrong_type"]
    assert references.read(found[server.url("/page")].reference) == page
    assert ImageStore(tmp_path).lookup(server.url("/picture")) is None  # as an image it was not asked for


def test_what_requests_say(server, store):
    server.routes["/a"] = reply(PNG, Set_Cookie="tracked=1")
    server.routes["/b"] = reply(PNG)
    run([server.url("/a").replace("//", "//user:secret@")], store)
    run([server.url("/b")], store)
    for request in server.requests:
        assert request.headers["User-Agent"] == "flamingo-jax/0.1 (+https://example.org/crawl)"
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Authorization", "Referer"} & set(request.headers)


def test_names_that_do_not_resolve_or_take_too_long(store):
    assert outcome("http://nowhere.test/a", store) == "fetch_connection"
    assert (
        outcome("http://slow.test/a", store, Names({"slow.test": "127.0.0.1"}, seconds=5.0), **IMPATIENT)
        == "fetch_connection"
    )


def test_a_host_that_does_not_speak_tls(server, store):
    url = server.url("/a").replace("http:", "https:")
    assert outcome(url, store, **IMPATIENT) == "fetch_connection"
    assert store.lookup(url) is None


def test_nobody_asks_in_no_name(store):
    with pytest.raises(ValueError, match="contact is empty"):
        run(["http://x.test/"], store, contact=" ")
