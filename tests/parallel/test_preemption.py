"""Notices of a metadata server: one that answers as Google's does, others, and none."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from flamingo_jax.parallel import preemption
from flamingo_jax.parallel.preemption import PreemptionNotice
from tests.patience import PATIENCE, until, within

POLL = 0.02  # seconds
QUIET = {"preempted": "FALSE", "maintenance-event": "NONE"}


class Metadata(http.server.ThreadingHTTPServer):
    """Answers with `entries`; a number is a status without an entry. `asked` is the paths of all requests."""

    daemon_threads = True
    flavor: str | None = "Google"

    def __init__(self, **entries):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.entries = QUIET | {name.replace("_", "-"): value for name, value in entries.items()}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/computeMetadata/v1/instance"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.path)
        folder, _, name = self.path.rpartition("/")
        answer = server.entries.get(name, 404)
        if self.headers.get("Metadata-Flavor") != "Google" or folder != "/computeMetadata/v1/instance":
            answer = 403
        self.send_response(answer if isinstance(answer, int) else 200)
        if server.flavor:
            self.send_header("Metadata-Flavor", server.flavor)
        self.end_headers()
        self.wfile.write(b"<html>" if isinstance(answer, int) else answer.encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def metadata(**entries) -> Iterator[Metadata]:
    with Metadata(**entries) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def is_watching() -> bool:
    return any(thread.name == "preemption" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    until(lambda: not is_watching())


@pytest.mark.parametrize(
    "entry, value, told",
    [
        ("preempted", "TRUE", "pre-empts"),
        ("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE", "host maintenance (TERMINATE_ON_HOST_MAINTENANCE)"),
        ("maintenance-event", "SOMETHING_NEW", "SOMETHING_NEW"),
    ],
)
def test_calls_once_when_it_is_announced(entry, value, told):
    reasons = []
    with metadata() as server, PreemptionNotice(reasons.append, reasons.append, server.url, POLL):
        until(lambda: len(server.asked) > 6)
        assert reasons == []
        server.entries[entry] = value
        until(lambda: reasons)
        if entry == "preempted":
            until(lambda: not is_watching())
        else:  # which may still come
            asked = len(server.asked)
            until(lambda: len(server.asked) > asked + 3)
    assert len(reasons) == 1 and told in reasons[0]


def test_a_notice_that_is_there_at_first_is_told():
    reasons = []
    with metadata(preempted="TRUE") as server, PreemptionNotice(reasons.append, reasons.append, server.url):
        until(lambda: reasons)


def test_a_live_migration_is_no_reason_to_stop():
    reasons = []
    with (
        metadata(maintenance_event="MIGRATE_ON_HOST_MAINTENANCE") as server,
        PreemptionNotice(reasons.append, reasons.append, server.url, POLL),
    ):
        until(lambda: len(server.asked) > 6)
    assert reasons == []


def test_gives_up_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with PreemptionNotice(pytest.fail, pytest.fail, f"http://127.0.0.1:{port}", POLL):
        until(lambda: not is_watching())


def test_gives_up_where_the_name_is_unknown():
    with PreemptionNotice(pytest.fail, pytest.fail, "http://metadata.invalid/computeMetadata/v1/instance", POLL):
        until(lambda: not is_watching())


@pytest.mark.parametrize("entries", [{"preempted": "TRUE"}, {"preempted": 404}, {"preempted": 302}])
def test_gives_up_on_a_server_that_is_not_googles(entries):
    with metadata(**entries) as server:
        server.flavor = None
        with PreemptionNotice(pytest.fail, pytest.fail, server.url, POLL):
            until(lambda: not is_watching())
        assert len(server.asked) == 1


def test_gives_up_on_a_server_that_talks_nonsense():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk():
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"\0nonsense\r\n\r\n")

        talker = threading.Thread(target=talk)
        talker.start()
        with PreemptionNotice(pytest.fail, pytest.fail, f"http://127.0.0.1:{server.getsockname()[1]}", POLL):
            until(lambda: not is_watching())
        talker.join()


def test_gives_up_on_a_server_that_is_silent(monkeypatch):
    monkeypatch.setattr(preemption, "_TIMEOUT", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        PreemptionNotice(pytest.fail, pytest.fail, f"http://127.0.0.1:{server.getsockname()[1]}", POLL),
    ):
        until(lambda: not is_watching())


@pytest.mark.parametrize("trouble", [503, 404, "stop"])
def test_asks_on_after_trouble_of_a_server_that_was_reached(trouble):
    reasons = []
    with metadata() as server, PreemptionNotice(reasons.append, reasons.append, server.url, POLL):
        until(lambda: len(server.asked) > 2)
        if trouble == "stop":
            server.flavor = None  # as good as away: its answers count for nothing
        else:
            server.entries["preempted"] = trouble
        before = len(server.asked)
        until(lambda: len(server.asked) > before + 4)
        server.flavor, server.entries["preempted"] = "Google", "TRUE"
        until(lambda: reasons)


def test_an_entry_that_the_server_lacks_does_not_hide_the_other():
    reasons = []
    with (
        metadata(preempted=404, maintenance_event="TERMINATE_ON_HOST_MAINTENANCE") as server,
        PreemptionNotice(reasons.append, reasons.append, server.url, POLL),
    ):
        until(lambda: reasons)


def test_no_proxy_is_asked(monkeypatch):
    with metadata(preempted="TRUE") as proxy, metadata() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        with PreemptionNotice(pytest.fail, pytest.fail, server.url, POLL):
            until(lambda: len(server.asked) > 2)
        assert proxy.asked == []


def test_nothing_is_called_after_the_end():
    with metadata() as server:
        with PreemptionNotice(pytest.fail, pytest.fail, server.url, POLL):
            until(lambda: server.asked)
        server.entries["preempted"] = "TRUE"
        until(lambda: not is_watching())


def test_the_end_does_not_wait_for_the_server(monkeypatch):
    monkeypatch.setattr(preemption, "_TIMEOUT", PATIENCE)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        within(PATIENCE / 2),
        PreemptionNotice(pytest.fail, pytest.fail, f"http://127.0.0.1:{server.getsockname()[1]}", POLL),
    ):
        server.accept()[0].close()
        time.sleep(0.05)


def test_a_bad_url_is_told_at_once():
    with pytest.raises(ValueError, match="unknown url type"):
        PreemptionNotice(pytest.fail, pytest.fail, "metadata")
