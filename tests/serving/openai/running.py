"""A server in a thread, and clients for it."""

import base64
import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.app import make_app
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.listening import make_server
from tests.data.samples import picture_bytes
from tests.patience import PATIENCE, until

MODEL = "tiny"
PATH = "/v1/chat/completions"


@contextlib.contextmanager
def running(engine: Engine, config: ServerConfig | None = None) -> Iterator[int]:
    """Serves at the port that is given, and closes the engine in the end."""
    server = make_server(make_app(engine, config or ServerConfig(MODEL)), drain_s=2)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            until(lambda: server.started)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            engine.close()
            thread.join(PATIENCE)
            assert not thread.is_alive()


def data_url(encoded: bytes | None = None, kind: str = "image/png") -> str:
    encoded = picture_bytes() if encoded is None else encoded
    return f"data:{kind};base64,{base64.b64encode(encoded).decode()}"


def picture_part(url: str | None = None) -> dict:
    return {"type": "image_url", "image_url": {"url": data_url() if url is None else url}}


def asking(content="what is it", **more) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": content}], **more}


def post(port: int, body: dict | bytes, **headers: str) -> tuple[int, dict, http.client.HTTPMessage]:
    """Status, JSON and headers of a chat request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", PATH, content, {"Content-Type": "application/json"} | headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers


def get(port: int, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def begin(port: int, body: dict) -> socket.socket:
    """A connection on which a chat request was sent, and nothing was read yet."""
    content = json.dumps(body).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(head.encode() + content)
    return connection


def received(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the response that comes."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, answer.read()


def held(port: int) -> int:
    """Bytes of requests, as the server says."""
    return int(re.search(r"^flamingo_held_bytes (\d+)$", get(port, "/metrics")[1], re.MULTILINE)[1])
