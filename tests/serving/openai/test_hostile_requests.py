"""Requests that are malformed or mean harm: one line with a status of 4xx, no file opened, and the server goes on."""

import base64
import contextlib
import http.client
import json
import random
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.uploads import Limits
from tests.data.samples import clip_bytes, picture_bytes
from tests.hostile_media import GALLERY, saved
from tests.serving.fake_session import FakeSession
from tests.serving.openai.running import MODEL, PATH, asking, data_url, picture_part, running

_CODE = (".py", ".pyc", ".so")  # modules are loaded late


class Watch:
    """What the server's threads open, connect to and run; an audit hook cannot be taken away again."""

    def __init__(self):
        self.seen: list[tuple[str, str]] = []
        self.on = False
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple) -> None:
        if not self.on or threading.current_thread() is threading.main_thread():
            return
        named = event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.listdir")
        if named or (event == "open" and not str(arguments[0]).endswith(_CODE)):
            self.seen.append((event, str(arguments[:2])))


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.fixture(scope="module")
def send(watch):
    """Sends a body to a server; the status, and the error if there is one."""
    config = ServerConfig(MODEL, body_bytes=3_000_000, uploads=Limits(bytes=2_000_000))
    with running(Engine(FakeSession()), config) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

        def ask(body: bytes | dict) -> tuple[int, dict | None]:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            with contextlib.suppress(ConnectionError):
                connection.request("POST", PATH, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            parsed = json.loads(answer.read())
            return answer.status, parsed.get("error")

        for encoded in (picture_bytes(), clip_bytes(1)):  # what decoders read once is read
            assert ask(asking([picture_part(data_url(encoded))]))[0] == 200
        watch.on = True
        _open_in_a_thread(__file__ + "x")
        assert watch.seen.pop()[0] == "open"  # so it sees what it is to see
        yield ask
        watch.on = False
        assert ask(asking())[0] == 200
        assert watch.seen == []
        connection.close()


def _open_in_a_thread(path: str) -> None:
    def try_to() -> None:
        with contextlib.suppress(OSError):
            Path(path).read_bytes()

    thread = threading.Thread(target=try_to)
    thread.start()
    thread.join()


def check_refused(status: int, error: dict | None) -> None:
    assert 400 <= status < 500, error
    assert error["message"] and error["message"].isprintable() and len(error["message"]) <= 300
    assert error.keys() == {"message", "type", "param", "code"}


def nested(depth: int, opening: bytes, closing: bytes = b"") -> bytes:
    return b'{"messages":' + opening * depth + closing * depth + b"}"


BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a text": b'"hi"',
    "null": b"null",
    "zeros": bytes(1000),
    "UTF-16": json.dumps(asking()).encode("utf-16"),
    "not UTF-8": b'{"model": "\xff\xfe"}',
    "NaN": b'{"model":"tiny","temperature":NaN,"messages":[{"role":"user","content":"a"}]}',
    "infinity": b'{"model":"tiny","temperature":-Infinity,"messages":[{"role":"user","content":"a"}]}',
    "1e999": b'{"model":"tiny","temperature":1e999,"messages":[{"role":"user","content":"a"}]}',
    "a huge whole number": b'{"model":"tiny","seed":' + b"9" * 4000 + b',"messages":[{"role":"user","content":"a"}]}',
    "digits without end": b'{"model":"tiny","seed":' + b"9" * 100_000 + b"}",
    "deep lists": nested(100_000, b"[", b"]"),
    "deep lists without end": nested(190_000, b"["),
    "deep objects": nested(10_000, b'{"a":', b"}"),
    "a million lists": b'{"messages":[' + b"[]," * 900_000 + b"[]]}",
    "a text without end": b'{"model":"' + b"a" * 1_000_000,
    "half a surrogate pair": b'{"model":"tiny","messages":[{"role":"user","content":"\\ud800"}]}',
    "half a pair as a key": b'{"model":"tiny","\\udfff":1,"messages":[{"role":"user","content":"a"}]}',
    "half a pair as a stop": b'{"model":"tiny","stop":"\\ud800","messages":[{"role":"user","content":"a"}]}',
    "too many bytes": b" " * 4_000_000,
}


@pytest.mark.parametrize("name", BODIES)
def test_malformed_bodies(send, name):
    check_refused(*send(BODIES[name]))


URLS = {
    "a file": "file:///etc/passwd",
    "a path": "/etc/passwd",
    "a path upwards": "../../../../etc/passwd",
    "a path as data": "data:image/png;base64,../../etc/passwd",
    "nearby": "http://127.0.0.1:1/",
    "a cloud's own": "http://169.254.169.254/latest/meta-data/",
    "gopher": "gopher://127.0.0.1/",
    "nothing": "",
    "no data": "data:image/png;base64,",
    "data without base64": "data:image/png,abc",
    "letters that base64 lacks": "data:image/png;base64,a*b=",
    "letters that are not ASCII": "data:image/png;base64,äöü=",
    "no padding": "data:image/png;base64,iVBORw0KG",
    "a line break": "data:image/png;base64,\n" + base64.b64encode(picture_bytes()).decode(),
    "a header without end": "data:" + "a" * 1_000_000,
    "too many bytes": "data:image/png;base64," + "A" * 2_800_000,
    "a NUL": "file:///etc/passwd\0.png",
    "a script": data_url(b"#!/bin/sh\ncat /etc/passwd\n"),
    "SVG with a file": data_url(b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    "a playlist": data_url(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "video/mp4"),
    "a list of files": data_url(b"ffconcat version 1.0\nfile '/etc/passwd'\n", "video/mp4"),
    "half a clip": data_url(clip_bytes(2)[:900], "video/mp4"),
    "EPS": data_url(GALLERY["EPS"].encoded),
    "PNG of 50,000 x 50,000": data_url(GALLERY["PNG of 50,000 x 50,000"].encoded),
    "GIF that says 65,535 x 65,535": data_url(GALLERY["GIF that says 65,535 x 65,535"].encoded, "image/gif"),
    "PNG with 100 MB of text": data_url(GALLERY["PNG with 100 MB of zTXt"].encoded),
}


@pytest.mark.parametrize("name", URLS)
def test_hostile_pictures(send, name):
    status, error = send(asking([picture_part(URLS[name])]))
    check_refused(status, error)
    assert error["param"] == "messages[0].content[0]" or status == 413


def test_a_gif_of_many_frames_is_one_picture(send):
    frames = [Picture.new("P", (16, 16), shade % 256) for shade in range(5000)]
    encoded = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert send(asking([picture_part(data_url(encoded, "image/gif"))]))[0] == 200


USER = {"role": "user", "content": "a"}
MESSAGES = {
    "none": [],
    "no list": {"role": "user"},
    "too many": [USER] * 1000,
    "no objects": ["a"],
    "no role": [{"content": "a"}],
    "a role that is a list": [{"role": ["user"], "content": "a"}],
    "a role that is long": [{"role": "x" * 100_000, "content": "a"}],
    "no content": [{"role": "user"}],
    "content that is a number": [{"role": "user", "content": 1}],
    "empty content": [{"role": "user", "content": " "}],
    "no parts": [{"role": "user", "content": []}],
    "parts that are texts": [{"role": "user", "content": ["a"]}],
    "a part of another type": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
    "a type that is a list": [{"role": "user", "content": [{"type": []}]}],
    "a text that is an object": [{"role": "user", "content": [{"type": "text", "text": {}}]}],
    "an url that is an object": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": {}}}]}],
    "an url that is bare": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:,"}]}],
    "too many pictures": [{"role": "user", "content": [picture_part()] * 34}],
    "an answer first": [{"role": "assistant", "content": "a"}, USER],
    "an answer last": [USER, {"role": "assistant", "content": "a"}],
    "a picture in an answer": [USER, {"role": "assistant", "content": [picture_part()]}, USER],
    "a call of a tool": [USER, {"role": "assistant", "content": "a", "tool_calls": [{"id": "x"}]}, USER],
    "the system late": [USER, {"role": "system", "content": "a"}, USER],
    "too much text": [{"role": "user", "content": "a" * 1_000_000}],
    "too many words": [{"role": "user", "content": "a " * 20_000}],
}


@pytest.mark.parametrize("name", MESSAGES)
def test_hostile_messages(send, name):
    check_refused(*send({"model": MODEL, "messages": MESSAGES[name]}))


def test_tags_in_a_text_are_only_text(send):
    assert send(asking("<image><EOC><image> <s> </s> {text} %s \0 \u202e"))[0] == 200


FIELDS = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
)
FIELDS += ("top_k", "seed", "stop", "n", "logprobs", "beams", "abstain", "tools", "response_format", "user", "x")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("a" * 5000)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(
    ["role", "content", "type", "text", "image_url", "video_url", "url", "user", "assistant", "system"]
)
LIKE_MESSAGES = st.lists(
    st.recursive(
        LEAVES | WORDS | st.sampled_from([URLS["a file"], data_url()]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=4,
)
HASTY = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@HASTY
@given(changes=st.dictionaries(st.sampled_from(FIELDS), VALUES, min_size=1, max_size=3))
def test_fields_of_any_kind(send, changes):
    body = asking() | changes
    if body.get("stream") is True:
        del body["stream"]  # a stream is no JSON
    status, error = send(body)
    if status != 200:
        check_refused(status, error)


@HASTY
@given(messages=LIKE_MESSAGES)
def test_messages_of_any_shape(send, messages):
    status, error = send({"model": MODEL, "messages": messages})
    if status != 200:
        check_refused(status, error)


def test_damaged_requests(send):
    """A fine request with bytes changed, taken out and doubled."""
    rng = random.Random(0)
    fine = json.dumps(asking([picture_part(), {"type": "text", "text": "what?"}], max_tokens=3, stop=["x"])).encode()
    statuses = set()
    for _ in range(200):
        body = bytearray(fine)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(body))
            span = slice(place, place + rng.randint(0, 3))
            body[span] = rng.choice([bytes(rng.choices(range(256), k=2)), b"", bytes(body[span]) * 2, b'"', b"{", b"}"])
        status, error = send(bytes(body))
        statuses.add(status)
        if status != 200:
            check_refused(status, error)
    assert 400 in statuses
