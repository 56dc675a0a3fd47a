"""What the server bears: full queues, slow and large requests, clients that hang up, strangers, and its own end."""

import json
import socket
import tracemalloc

import pytest

from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.warming import Warming
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.messages import MessageLimits
from tests.data.samples import clip_bytes, picture_bytes
from tests.patience import until
from tests.serving.fake_session import BROKEN, FakeSession
from tests.serving.openai.running import (
    MODEL,
    PATH,
    asking,
    begin,
    data_url,
    get,
    held,
    picture_part,
    post,
    received,
    running,
)


@pytest.fixture
def session():
    return FakeSession()


def test_a_full_queue_is_429_and_says_when_to_come_back(session):
    session.gate.clear()
    engine = Engine(session, EngineConfig(rows=1, queue=1))
    with running(engine) as port:
        kept = [begin(port, asking())]
        until(lambda: engine.running == 1)
        kept.append(begin(port, asking()))
        until(lambda: engine.depth == 1)
        status, body, headers = post(port, asking())
        assert (status, body["error"]["code"]) == (429, "queue_full")
        assert body["error"]["type"] == "rate_limit_error" and int(headers["Retry-After"]) >= 1
        session.gate.set()
        assert [received(each)[0] for each in kept] == [200, 200]


@pytest.mark.parametrize("stream", [False, True])
def test_waiting_and_answering_too_long_are_503(session, stream):
    session.gate.clear()
    engine = Engine(session, EngineConfig(rows=1, wait_s=0.5, answer_s=0.8))
    with running(engine) as port:
        first = begin(port, asking(stream=stream))
        until(lambda: engine.running == 1)
        status, body, headers = post(port, asking(stream=stream))
        assert status == 503 and "waited 0.5 seconds" in body["error"]["message"] and headers["Retry-After"]
        status, answer = received(first)
        assert status == 503 and b"took more than 0.8 seconds" in answer
        session.gate.set()


def test_an_answer_that_takes_too_long_ends_its_stream_with_an_error(session):
    session.seconds = 0.1
    with running(Engine(session, EngineConfig(answer_s=0.5))) as port:
        status, answer = received(begin(port, asking("word " * 50, stream=True)))
    *_, last = answer.split(b"data: ")
    assert status == 200 and b"[DONE]" not in answer
    assert json.loads(last.splitlines()[0])["error"]["code"] == "timeout"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_frees_its_place(session, stream):
    session.seconds = 0.1
    engine = Engine(session, EngineConfig(rows=1))
    with running(engine) as port:
        asked = asking("word " * 400, max_tokens=400, stream=stream)
        answered, waiting = begin(port, asked), begin(port, asked)
        until(lambda: engine.running == 1 and engine.depth == 1)
        waiting.close()
        until(lambda: engine.depth == 0)
        answered.close()
        until(lambda: engine.running == 0)
        until(lambda: session.dropped == [0])
        assert post(port, asking())[0] == 200
        assert engine.stats.counts("requests") == {"cancelled": 2, "stop": 1}


def test_a_client_that_stops_reading_frees_its_place(session):
    """Answers are larger than what the sockets between hold."""
    engine = Engine(session, EngineConfig())
    session.longest = 10**9
    letters = "x" * 40_000
    session._words = lambda prompt: [letters] * 400
    with running(engine, ServerConfig(MODEL, send_s=1)) as port:
        unread = begin(port, asking("hi", stream=True, max_tokens=400))
        until(lambda: sum(engine.stats.counts("requests").values()) == 1)
        assert post(port, asking(max_tokens=1))[0] == 200
        unread.close()


@pytest.mark.parametrize("claimed", [True, False])
def test_the_size_of_a_request_is_limited_whatever_it_claims(session, claimed):
    with running(Engine(session), ServerConfig(MODEL, body_bytes=10_000)) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        if claimed:
            connection.sendall(f"{head}Content-Length: 99999999\r\n\r\n".encode())
        else:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            for _ in range(20):
                connection.sendall(b"400\r\n" + b" " * 0x400 + b"\r\n")
        status, answer = received(connection)
        assert status == 413 and b"more than 10000 bytes" in answer


def test_a_request_that_does_not_arrive_ends(session):
    with running(Engine(session), ServerConfig(MODEL, body_s=0.2)) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        assert received(connection)[0] == 408


def test_the_memory_of_all_requests_is_limited(session):
    session.gate.clear()
    engine = Engine(session, EngineConfig(rows=1))
    with running(engine, ServerConfig(MODEL, held_bytes=50_000)) as port:
        large = asking([picture_part(data_url(b"\x89PNG" + bytes(30_000)))])
        kept = begin(port, asking("x" * 25_000, max_tokens=1))
        until(lambda: engine.running == 1)
        status, body, _ = post(port, large)
        assert (status, body["error"]["code"]) == (429, "memory_full")
        session.gate.set()
        assert received(kept)[0] == 200
        assert post(port, large)[0] == 400  # there is room again; it is no picture
        assert "flamingo_held_bytes 0" in get(port, "/metrics")[1]


def test_only_the_files_of_a_request_are_held_while_it_is_answered(session):
    """Neither its body, nor its JSON."""
    encoded = picture_bytes(size=(1500, 1500), fmt="BMP")
    session.gate.clear()
    engine = Engine(session, EngineConfig(rows=1))
    with running(engine) as port:
        tracemalloc.start()
        waits = begin(port, asking([picture_part(data_url(encoded))], max_tokens=1))
        until(lambda: engine.running == 1)
        assert len(encoded) <= held(port) < len(encoded) + 100  # the prompt's text
        until(lambda: tracemalloc.get_traced_memory()[0] < 1.2 * len(encoded))
        tracemalloc.stop()
        session.gate.set()
        assert received(waits)[0] == 200
        assert held(port) == 0


def test_the_pixels_of_all_pictures_are_limited_before_any_is_decoded(session, monkeypatch):
    from flamingo_jax.serving.openai import media

    decoded, check = [], media.check_upload
    monkeypatch.setattr(media, "check_upload", lambda name, *how: (decoded.append(name), check(name, *how))[1])
    picture = picture_part(data_url(picture_bytes(size=(30, 30))))
    clip = {"type": "video_url", "video_url": {"url": data_url(clip_bytes(1), "video/mp4")}}
    with running(Engine(session), ServerConfig(MODEL, messages=MessageLimits(pixels=2000))) as port:
        status, body, _ = post(port, asking([picture, clip, picture, picture, picture]))
        assert (status, body["error"]["code"]) == (400, "too_many_pixels") and decoded == []
        assert body["error"]["param"] == "messages[0].content[3]" and "2000 pixels" in body["error"]["message"]
        assert post(port, asking([picture, clip, picture]))[0] == 200  # a clip has limits of its own
        assert len(decoded) == 3


def test_a_picture_that_breaks_within_the_model_fails_alone(session, monkeypatch):
    from flamingo_jax.data.document import Image
    from flamingo_jax.serving.openai import media

    monkeypatch.setattr(media, "check_upload", lambda name, encoded, limits: Image(encoded, name))
    with running(Engine(session)) as port:
        status, body, _ = post(port, asking([picture_part(data_url(BROKEN))]))
        assert (status, body["error"]["message"]) == (400, "a medium that is broken")
        assert post(port, asking())[0] == 200


def test_keys_are_asked_for(session):
    with running(Engine(session), ServerConfig(MODEL, keys=("one", "two"))) as port:
        for header in ({}, {"Authorization": "Bearer three"}, {"Authorization": "Basic one"}):
            status, body, _ = post(port, asking(), **header)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert post(port, asking(), Authorization="Bearer two")[0] == 200
        assert post(port, asking(), Authorization="Bearer zwölf")[0] == 401
        assert post(port, asking(), Authorization=b"Bearer \xff\xfe")[0] == 401
        assert get(port, "/metrics")[0] == 401 and get(port, "/v1/models")[0] == 401
        assert get(port, "/health")[0] == get(port, "/ready")[0] == 200


def test_a_page_of_the_web_cannot_pass_for_the_server(session):
    with running(Engine(session), ServerConfig(MODEL, hosts=("localhost", "[::1]"))) as port:
        for host in ("localhost", "LOCALHOST:80", "[::1]", "[::1]:80"):
            assert post(port, asking(), Host=host)[0] == 200
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", ""):
            status, body, _ = post(port, asking(), Host=host)
            assert (status, body["error"]["code"]) == (403, "wrong_host")


def test_only_json_is_taken_so_that_pages_of_others_cannot_ask(session):
    with running(Engine(session)) as port:
        assert post(port, asking(), **{"Content-Type": "text/plain"})[0] == 415
        assert post(port, asking(), **{"Content-Type": "application/json; charset=utf-8"})[0] == 200


@pytest.mark.parametrize(
    "method, path, status", [("GET", PATH, 405), ("POST", "/health", 405), ("GET", "/../etc", 404)]
)
def test_other_paths_and_methods_are_errors_in_json(session, method, path, status):
    with running(Engine(session)) as port, socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        answered, body = received(connection)
        assert answered == status
        assert json.loads(body)["error"]["type"] == "invalid_request_error"


def test_ready_tells_what_is_compiled(session):
    session.gate.clear()
    with running(Engine(session, EngineConfig(rows=1), warming=Warming([("hi", ())]))) as port:
        status, body = get(port, "/ready")
        assert status == 503 and "0 of 2 are ready" in body
        assert get(port, "/health")[0] == 200
        session.gate.set()
        until(lambda: get(port, "/ready") == (200, '{"status":"ready"}'))


def test_metrics_are_prometheus_text(session):
    parser = pytest.importorskip("prometheus_client.parser")
    with running(Engine(session)) as port:
        assert post(port, asking("what is it", max_tokens=2))[0] == 200
        assert post(port, asking(n=2))[0] == 400
        families = {family.name: family for family in parser.text_string_to_metric_families(get(port, "/metrics")[1])}
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["flamingo_requests_total", "length"] == 1
    assert values["flamingo_tokens_total", "prompt"] == 5 and values["flamingo_tokens_total", "completion"] == 2
    assert values["flamingo_http_responses_total", "200"] == values["flamingo_http_responses_total", "400"] == 1
    assert values["flamingo_batch_rows_bucket", "+Inf"] == values["flamingo_answer_seconds_count",] == 1
    assert values["flamingo_queue_depth",] == values["flamingo_running",] == 0 and values["flamingo_ready",] == 1
    assert values["flamingo_resident_bytes",] > 1e6
    assert all(family.documentation for family in families.values())
