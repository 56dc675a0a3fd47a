"""The server as a process: many clients at once, and signals."""

import asyncio
import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server_load import load
from flamingo_jax.config import ConfigError
from flamingo_jax.serving.address import bind, listen
from tests.patience import until
from tests.serving.openai.running import MODEL, asking, begin, post

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def process(seconds_a_step: float, drain: float = 1.5):
    """The process and its port."""
    command = [sys.executable, "-m", "tests.serving.openai.serve_fake", str(seconds_a_step), str(drain)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        late = threading.Timer(240, started.kill)  # which ends the loop below
        late.start()
        try:
            for line in started.stderr:
                if found := re.search(r"listening at http://127.0.0.1:(\d+)", line):
                    yield started, int(found[1])
                    break
        finally:
            late.cancel()
            started.kill()


def check_load(seconds: float, clients: int) -> None:
    with process(0.02) as (started, port):
        asyncio.run(load(port, MODEL, 20, 1, tokens=8))  # pools of threads, caches and the like are filled
        report = asyncio.run(load(port, MODEL, clients, seconds, tokens=8))
        print(report.outcomes, [round(bytes / 1e6) for bytes in report.resident])
        assert report.lost == 0
        assert report.outcomes["answered"] > seconds and report.outcomes["hung up"] > 0
        assert max(report.resident) - report.resident[0] < 100e6
        assert post(port, asking())[0] == 200
        assert started.poll() is None
        started.send_signal(signal.SIGTERM)
        assert started.wait(20) == 0


def test_no_request_of_many_clients_is_lost():
    check_load(seconds=2, clients=200)


@pytest.mark.slow
def test_no_request_is_lost_in_two_minutes():
    check_load(seconds=120, clients=200)


@pytest.mark.slow
def test_a_signal_ends_the_server_when_answers_are_finished_or_failed():
    with process(0.1) as (started, port):
        short, long = begin(port, asking("one two")), begin(port, asking("word " * 400, max_tokens=400))
        time.sleep(1.0)
        started.send_signal(signal.SIGTERM)
        answers = [http.client.HTTPResponse(connection) for connection in (short, long)]
        for answer in answers:
            answer.begin()
        assert answers[0].status == 200 and b"two" in answers[0].read()
        assert answers[1].status == 503 and b"shutting down" in answers[1].read()
        assert started.wait(20) == 0
        with pytest.raises(OSError):
            post(port, asking())


# A step of 20 seconds is a program that cannot be interrupted: the process ends while it runs.
@pytest.mark.parametrize("seconds_a_step, status", [(0.1, 0), pytest.param(20.0, 1, marks=pytest.mark.slow)])
def test_a_second_signal_ends_the_wait(seconds_a_step, status):
    with process(seconds_a_step, drain=60) as (started, port):
        connection = begin(port, asking("word " * 400, max_tokens=400))
        _until_running(port)
        _end_in_a_hurry(started)
        assert started.wait(30) == status  # half of the time to finish in
        connection.close()


def test_a_second_signal_ends_the_wait_for_a_client_that_still_sends():
    with process(0.1, drain=60) as (started, port), socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n")
        client.sendall(b"Content-Length: 900\r\n\r\n{")
        time.sleep(0.5)
        _end_in_a_hurry(started)
        assert started.wait(15) == 0  # half of the time that a body may take
        assert "Traceback" not in started.stderr.read()


def _until_running(port: int) -> None:
    metrics = f"http://127.0.0.1:{port}/metrics"
    until(lambda: b"flamingo_running 1" in urllib.request.urlopen(metrics).read())


def _end_in_a_hurry(started: subprocess.Popen) -> None:
    """With a second signal, when the first was heeded: two that come together are one."""
    started.send_signal(signal.SIGINT)
    assert any("asked to end" in line for line in started.stderr)
    started.send_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "flag, reason",
    [
        ("--port={busy}", "--host=127.0.0.1 --port={busy} cannot be listened at: Address already in use"),
        ("--port=0", "{workdir} is not the workdir of a run"),
    ],
)
def test_a_port_that_is_taken_is_told_before_the_model_loads(tmp_path, flag, reason):
    """The workdir is empty, of which the second is told."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        named = {"busy": taken.getsockname()[1], "workdir": tmp_path}
        command = [sys.executable, "-m", "flamingo_jax.serve", f"--workdir={tmp_path}", flag.format(**named)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.startswith(f"error: {reason.format(**named)}")
    assert len(done.stderr.splitlines()) == 1


def test_an_address_refuses_connections_until_one_server_listens():
    with bind("127.0.0.1", 0) as bound, bind(*bound.getsockname()) as late:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(bound.getsockname(), timeout=5)
        listen(bound)
        with pytest.raises(ConfigError, match="Address already in use"):
            bind(*bound.getsockname())
        with pytest.raises(ConfigError, match=r"--host=127\.0\.0\.1 --port=\d+ cannot be listened at"):
            listen(late)
