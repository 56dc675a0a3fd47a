"""The page's server, without a browser: what it answers to whom."""

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("gradio", reason="the page needs gradio: pip install -e '.[chat]'")
import httpx

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.uploads import DEFAULT
from flamingo_jax.serving.web.page import Shown
from flamingo_jax.serving.web.serve import served
from tests.patience import PATIENCE, until
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat
from tests.serving.dialogue.media import png
from tests.serving.web.page import opened

SHORT = ["questions", 64, 1, 0, 1, 0, 0, False]
API = "/gradio_api"


@pytest.fixture(scope="module")
def engine():
    return FakeEngine(pause=0.01)


@contextlib.contextmanager
def visited(engine: FakeEngine, **more) -> Iterator[httpx.Client]:
    """A client of a page of its own."""
    with opened(fake_chat(engine), **more) as address, httpx.Client(base_url=address, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def page(engine):
    with visited(engine, name='<script>alert("x")</script>') as client:
        yield client


def upload(page, name: str, content: bytes) -> str:
    """The path that the server gives a file."""
    answer = page.post(f"{API}/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def function(page, name: str) -> int:
    """The number by which the page calls a handler."""
    (found,) = [each["id"] for each in page.get("/config").json()["dependencies"] if each["api_name"] == name]
    return found


def call(page, name: str, data: list, session: str = "tab") -> list[dict]:
    """What the page would be told, message by message."""
    body = {"data": data, "fn_index": function(page, name), "session_hash": session}
    assert page.post(f"{API}/queue/join", json=body).status_code == 200
    told = []
    with page.stream("GET", f"{API}/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                told.append(json.loads(line[6:]))
                if told[-1]["msg"] == "close_stream":
                    break
    return told


def shown(told: list[dict]) -> str:
    """All that was sent, as one text."""
    return json.dumps([each.get("output") for each in told], ensure_ascii=False)


def message(text: str, *paths: str) -> dict:
    """The composer's value."""
    return {"text": text, "files": [{"path": path, "meta": {"_type": "gradio.FileData"}} for path in paths]}


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/file=/etc/passwd",
        f"{API}/file=../../etc/passwd",
        f"{API}/file=%2Fetc%2Fpasswd",
        f"{API}/file={{folder}}/../../../etc/passwd",
        f"{API}/file={{folder}}/..%2f..%2fetc/passwd",
        f"{API}/file={{folder}}",
        f"{API}/file={{folder}}x/file",
        f"{API}/file={__file__}",
        f"{API}/file=file:///etc/passwd",
        f"{API}/file=http://127.0.0.1/",
        f"{API}/file/etc/passwd",
        f"{API}/proxy=http://127.0.0.1/",
        f"{API}/stream/a/b/c/playlist.m3u8",
        f"{API}/runs",
        f"{API}/openapi.json",
        f"{API}/vibe-code",
        "/static/../../../../../etc/passwd",
        "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/static/%2fetc/passwd",
        "//etc/passwd",
        "/docs",
        "/openapi.json",
        "/monitoring",
        "/login",
        "/manifest.json",
    ],
)
def test_no_path_is_readable(page, path):
    folder = upload(page, "red.png", png()).rsplit("/", 2)[0]
    request = page.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.format(folder=folder).encode())
    answer = page.send(request)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text


def test_what_a_visitor_uploads_is_what_it_gets_back(page):
    path = upload(page, "red.png", png())
    assert page.get(f"{API}/file={path}").content == png()


@pytest.mark.parametrize(
    "path", [f"{API}/process_recording", f"{API}/component_server", f"{API}/api/ask", f"{API}/call/ask"]
)
def test_other_ways_in_are_shut(page, path):
    assert page.post(path, json={"data": []}).status_code == 404


def test_files_of_the_server_cannot_be_sent_as_uploads(page, engine):
    asked = len(engine.requests)
    for path in ("/etc/passwd", __file__, "../../etc/passwd", "http://127.0.0.1/x.png"):
        told = call(page, "ask", [message("What?", path), *SHORT], "thief")
        assert "root:" not in shown(told)
    assert len(engine.requests) == asked


def test_nothing_is_loaded_from_elsewhere_and_nothing_is_reported(page):
    text, style = page.get("/").text, page.get("/theme.css").text
    known = (str(page.base_url).rstrip("/"), "http://www.w3.org/2000/svg")  # a namespace, which nobody fetches
    for found in re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"'<>)\\]*", text + style + page.get("/config").text):
        assert found.startswith(known), found
    config = page.get("/config").json()
    assert config["analytics_enabled"] is False and not config["footer_links"] and not config["run_history"]
    policy = page.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy and "connect-src 'self'" in policy and "http" not in policy


def test_the_api_is_not_offered(page):
    assert page.get(f"{API}/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert {each["api_visibility"] for each in page.get("/config").json()["dependencies"]} == {"private"}


def test_names_and_words_are_text_and_no_markup(page):
    assert '<script>alert("x")' not in page.get("/").text
    told = call(page, "ask", [message("<img src=x onerror=alert(1)>"), *SHORT], "marks")
    assert "<img src=x" not in shown(told) and "&lt;img src=x" in shown(told)


def test_other_names_for_this_machine_are_refused(page):
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.", "[", "10.0.0.1:7860"):
        assert page.get("/", headers={"Host": host}).status_code == 404
    for host in ("localhost:7860", "127.0.0.1", "[::1]:7860"):
        assert page.get("/", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_can_do_nothing(page, engine):
    asked = len(engine.requests)
    body = {"data": [message("What?"), *SHORT], "fn_index": function(page, "ask"), "session_hash": "cross"}
    for site in ("cross-site", "same-site"):
        headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": site}
        answer = page.post(f"{API}/queue/join", json=body, headers=headers)
        assert answer.status_code == 404 and "access-control-allow-origin" not in answer.headers
    time.sleep(0.2)
    assert len(engine.requests) == asked


def test_an_answer_grows_and_each_tab_has_its_own(page):
    told = call(page, "ask", [message("What is it?", upload(page, "red.png", png())), *SHORT], "one")
    assert len([each for each in told if each["msg"] == "process_generating"]) >= 3
    assert told[-2]["success"] and "data:image/" in shown(told) and "What is it?" in shown(told)
    assert "What is it?" not in shown(call(page, "ask", [message("And you?"), *SHORT], "two"))


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("script.png", b"#!/bin/sh\nrm -rf /\n", "neither a picture"),
        ("cut.png", png(side=300)[:80], "cut.png"),
        ("empty.png", b"", "empty"),
        ("large.png", png() + bytes(21_000_000), "at most 20 MB"),
    ],
)
def test_files_that_are_not_taken_are_explained(page, engine, name, content, reason):
    asked = len(engine.requests)
    told = shown(call(page, "ask", [message("What?", upload(page, name, content)), *SHORT], "bad"))
    assert reason in told and 'role=\\"alert\\"' in told
    assert len(engine.requests) == asked


def test_files_above_the_limit_are_not_even_received(page):
    assert page.post(f"{API}/upload", files={"files": ("a.png", bytes(101_000_000))}).status_code == 413


@pytest.mark.parametrize("place, value", [(1, 0), (1, None), (2, 2.5), (0, "poem"), (6, 3), (7, True)])
def test_settings_from_elsewhere_than_the_panel_are_checked(page, engine, place, value):
    asked, settings = len(engine.requests), list(SHORT)
    settings[place] = value
    call(page, "ask", [message("What?"), *settings], "odd")
    assert len(engine.requests) == asked


def test_a_saved_conversation_comes_back(page):
    call(page, "ask", [message("What is it?", upload(page, "red.png", png())), *SHORT], "keeper")
    told = call(page, "save", [], "keeper")
    path = re.search(r'"path": "([^"]+conversation.json)"', shown(told))[1]
    saved = page.get(f"{API}/file={path}").content
    assert json.loads(saved)["turns"][0]["text"] == "What is it?"
    file = {"path": upload(page, "talk.json", saved), "meta": {"_type": "gradio.FileData"}}
    assert "What is it?" in shown(call(page, "load", [file], "reader"))
    file["path"] = upload(page, "other.json", b"{}")
    assert "no saved conversation" in shown(call(page, "load", [file], "reader"))


def test_closing_the_tab_cancels_the_answer():
    engine = FakeEngine(lambda request: "word " * 400, pause=0.05)
    with visited(engine) as page:
        alive = page.build_request("GET", f"{API}/heartbeat/tab")
        heart = page.send(alive, stream=True)
        reader = threading.Thread(target=_until_closed, args=(page, "tab"), daemon=True)
        reader.start()
        until(lambda: engine.requests)
        heart.close()
        until(lambda: engine.ended)
    assert engine.ended[0].kind == "cancelled"


def _until_closed(page, session):
    with contextlib.suppress(httpx.HTTPError, AssertionError, IndexError):  # the server ends under it
        call(page, "ask", [message("What?"), *SHORT], session)


def test_a_question_that_is_stopped_before_the_first_word_stays_in_the_composer():
    engine = FakeEngine(lambda request: "", pause=60)
    with visited(engine) as page:
        path = upload(page, "red.png", png())
        told = []
        asking = threading.Thread(target=lambda: told.extend(call(page, "ask", [message("What?", path), *SHORT])))
        asking.start()
        until(lambda: engine.requests)
        stop = {"data": [], "fn_index": function(page, "stop"), "session_hash": "tab"}
        assert page.post(f"{API}/queue/join", json=stop).status_code == 200
        asking.join()
        last = [each for each in told if each["msg"] == "process_completed" and each["output"]["data"]][-1]
        composer = last["output"]["data"][0]
        assert "What?" in json.dumps(composer) and "red.png" in json.dumps(composer)
        assert page.get(f"{API}/file={path}").content == png()


def test_the_folder_of_uploads_is_gone_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with visited(FakeEngine()) as page:
        upload(page, "red.png", png())
        assert list(tmp_path.iterdir())
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("flamingo-chat")]


def test_a_port_that_is_taken_is_an_error():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        shown_page = Shown("run", 1, Settings())
        port = taken.getsockname()[1]
        page = served(fake_chat(FakeEngine()), shown_page, "127.0.0.1", port, DEFAULT)
        with pytest.raises(ConfigError, match="cannot listen"), page:
            pass


def test_more_examples_than_there_are_cannot_be_begun_with():
    shown_page = Shown("run", 1, Settings(shots=3))
    page = served(fake_chat(FakeEngine()), shown_page, "127.0.0.1", 0, DEFAULT)
    with pytest.raises(ConfigError, match=r"3 shots are more than .* at most 0"), page:
        pass
