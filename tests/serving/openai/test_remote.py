"""Pictures of the web: only of public addresses, within limits, whatever redirections say."""

import contextlib
import http.server
import socket
import threading
import time

import pytest

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai import chat as chat_module
from flamingo_jax.serving.openai import remote
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.remote import FetchError, fetch, public
from tests.data.samples import picture_bytes
from tests.patience import until, within
from tests.serving.fake_session import FakeSession
from tests.serving.openai.running import MODEL, asking, begin, held, picture_part, post, received, running


class Pages(http.server.BaseHTTPRequestHandler):
    """`/picture`; `/to?ADDRESS` redirects there, and `/astray` to what is none; `/large` has no end; `/slow` sends
    a byte at a time."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/to":
            self.send_response(302)
            self.send_header("Location", query)
            self.end_headers()
        elif path == "/astray":
            self.send_response(302)
            self.send_header("Location", "http://[::1")
            self.end_headers()
        elif path == "/missing":
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                if path == "/picture":
                    self.wfile.write(picture_bytes())
                while path in ("/large", "/slow"):
                    self.wfile.write(b"x" * (1 if path == "/slow" else 10_000))
                    time.sleep(0.05 if path == "/slow" else 0)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def web():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def here_is_public(monkeypatch):
    """127.0.0.1 counts as public, and nothing else of this machine does."""
    monkeypatch.setattr(remote, "public", lambda address: address == "127.0.0.1" or public(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address):
    assert public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.8.9.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
        ),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::"),
        *("168.63.129.16", "192.88.99.1", "fec0::1", "::127.0.0.1", "::ffff:0:10.0.0.1", "::ffff:168.63.129.16"),
    ],
)
def test_addresses_nearby_are_not(address):
    assert not public(address)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://localhost/",
            "http://[::1]/",
            "http://0/",
            "http://2130706433/",
            "http://127.1/",
        ),
        *("http://169.254.169.254/latest/meta-data/", "http://0x7f.1/", "http://[::ffff:127.0.0.1]/"),
    ],
)
def test_nothing_nearby_is_connected_to(url, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *arguments, **more: pytest.fail("connected"))
    with pytest.raises(FetchError, match="not one of the public internet"):
        fetch(url, 1000, 5)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/a",
        "http://",
        "http://a:99999/",
        "http://[::1",
        "http://[::ffff:1.2.3.4",
    ],
)
def test_what_is_no_address_of_the_web_is_refused(url):
    with pytest.raises(FetchError, match=r"malformed|http or https"):
        fetch(url, 1000, 5)


def test_a_name_cannot_change_its_meaning_between_looking_and_connecting(web, monkeypatch, here_is_public):
    """What is connected to is the address that was judged, and the name is looked up once."""
    looked, connected = [], []
    real = socket.create_connection

    def look(host, port, *more, **named):
        looked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    def connect(address, **more):
        connected.append(address[0])
        return real(address, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    monkeypatch.setattr(remote.socket, "create_connection", connect)
    with contextlib.suppress(FetchError):
        fetch(web.replace("127.0.0.1", "rebinding.example") + "/picture", 10_000, 5)
    assert looked.count("rebinding.example") == 1 and connected == ["127.0.0.1"]


def test_a_name_of_several_addresses_needs_all_of_them_public(monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **more: both)
    with pytest.raises(FetchError, match="not one of the public internet"):
        fetch("http://two.example/", 1000, 5)


def test_pictures_are_fetched_through_redirections(web, here_is_public):
    assert fetch(f"{web}/picture", 10_000, 5) == picture_bytes()
    assert fetch(f"{web}/to?{web}/to?/picture", 10_000, 5) == picture_bytes()


@pytest.mark.parametrize("target", ["http://localhost.:1/", "http://10.0.0.1/", "file:///etc/passwd", "gopher://a/"])
def test_redirections_are_judged_as_well(web, here_is_public, target):
    with pytest.raises(FetchError, match=r"not one of"):
        fetch(f"{web}/to?{target.replace('localhost.', '127.0.0.2')}", 10_000, 5)


def test_a_redirection_to_what_is_no_address_is_refused(web, here_is_public):
    with pytest.raises(FetchError, match="leads to another that is malformed"):
        fetch(f"{web}/astray", 10_000, 5)


def test_redirections_end(web, here_is_public):
    with pytest.raises(FetchError, match="more than 3 times"):
        fetch(f"{web}/to?/to?/to?/to?/to?/picture", 10_000, 5)


@pytest.mark.parametrize(
    "path, reason", [("large", "more than 10000 bytes"), ("slow", "too long"), ("missing", "status 404")]
)
def test_what_is_fetched_is_limited(web, here_is_public, path, reason):
    with within(30), pytest.raises(FetchError, match=reason):
        fetch(f"{web}/{path}", 10_000, 0.5)


# What a peer says at once, and what it then repeats, a byte every 0.05 seconds.
DRIBBLES = {
    "nothing": (b"", b""),
    "headers": (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "sizes of chunks": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "TLS": (b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03", b"x"),
}


@pytest.mark.parametrize(
    "scheme, said", [("https", "nothing"), ("https", "TLS"), *(("http", each) for each in DRIBBLES)]
)
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "connected late"])
def test_the_time_of_a_fetch_is_limited_in_every_phase(here_is_public, monkeypatch, scheme, said, slow):
    real = socket.create_connection

    def connect(address, **more):
        time.sleep(0.6 * slow)
        return real(address, **more)

    monkeypatch.setattr(remote.socket, "create_connection", connect)
    first, again = DRIBBLES[said]
    ended = threading.Event()

    def dribble(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as peer:
            peer.sendall(first)
            while not ended.wait(0.05):
                peer.sendall(again)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=dribble, args=[listening])
        thread.start()
        try:
            with within(30), pytest.raises(FetchError, match="takes too long"):
                fetch(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/", 10_000, 0.5)
        finally:
            ended.set()
            thread.join()


def test_a_part_of_a_file_is_not_taken_for_all_of_it(here_is_public):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            with listening.accept()[0] as peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + bytes(300))

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(FetchError, match="cannot be reached"):
            fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/", 10_000, 5)
        thread.join(5)


def test_the_server_fetches_only_where_that_is_allowed(web, here_is_public):
    asked = asking([picture_part(f"{web}/picture")])
    with running(Engine(FakeSession())) as port:
        status, body, _ = post(port, asked)
        assert (status, body["error"]["code"]) == (400, "remote_url_refused")
    with running(Engine(FakeSession()), ServerConfig(MODEL, allow_remote_urls=True)) as port:
        status, body, _ = post(port, asked)
        assert status == 200 and body["usage"]["prompt_tokens"] == 2
        status, body, _ = post(port, asking([picture_part("http://127.0.0.2/a.png")]))
        assert (status, body["error"]["code"]) == (400, "invalid_image_url")
        assert "messages[0].content[0]" in body["error"]["message"]


def test_what_is_fetched_counts_as_held_until_the_answer_ends(web, here_is_public):
    session = FakeSession()
    session.gate.clear()
    engine = Engine(session)
    with running(engine, ServerConfig(MODEL, allow_remote_urls=True)) as port:
        waits = begin(port, asking([picture_part(f"{web}/picture")] * 2))
        until(lambda: engine.running == 1)
        fetched = len(picture_bytes())
        assert fetched <= held(port) < fetched + 100  # the prompt's text; the address is fetched once
        session.gate.set()
        assert received(waits)[0] == 200
        assert held(port) == 0


def test_a_request_that_is_refused_fetches_nothing_more(here_is_public, monkeypatch):
    begun, ended = [], []

    def one(url, most, seconds, take):
        begun.append(url)
        if url.endswith("bad"):
            raise FetchError("the address answers with status 404")
        try:
            for _ in range(200):
                time.sleep(0.02)
                take(1)
        finally:
            ended.append(url)

    monkeypatch.setattr(chat_module, "fetch", one)
    with running(Engine(FakeSession()), ServerConfig(MODEL, allow_remote_urls=True)) as port:
        addresses = ["http://127.0.0.1/bad", *(f"http://127.0.0.1/{place}" for place in range(30))]
        status, body, _ = post(port, asking([picture_part(address) for address in addresses]))
        assert (status, body["error"]["code"]) == (400, "invalid_image_url") and "404" in body["error"]["message"]
        assert len(begun) <= 20 and len(ended) == len(begun) - 1 and held(port) == 0


def test_what_is_fetched_is_limited_for_all_requests_together(web, here_is_public):
    config = ServerConfig(MODEL, allow_remote_urls=True, held_bytes=50_000, fetch_s=60)
    with running(Engine(FakeSession()), config) as port:
        with within(30):
            status, body, headers = post(port, asking([picture_part(f"{web}/{path}") for path in ("large", "slow")]))
        assert (status, body["error"]["code"]) == (429, "memory_full") and headers["Retry-After"]
        assert held(port) == 0
        time.sleep(0.2)  # what the other thread still reads
        assert held(port) == 0
        assert post(port, asking([picture_part(f"{web}/picture")]))[0] == 200
