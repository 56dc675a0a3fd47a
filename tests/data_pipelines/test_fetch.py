"""The command: what it prints, what it refuses, and that it goes on after being killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from data_pipelines import command_line, fetch
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.store import ImageStore
from data_pipelines.output import BuildError
from flamingo_jax import config
from tests.data_pipelines.fetching.fetches import encoded
from tests.data_pipelines.fetching.server import Server, reply

ROOT = Path(__file__).parents[2]
GIN = ROOT / "gin" / "corpora" / "fetch.gin"
PNG = encoded()
BINDINGS = {
    "contact": "https://example.org/crawl",
    "private_networks_allowed": ("127.0.0.1/32",),
    "delay": 0.0,
    "retries": 0,
    "connections_per_host": 2,
}
FLAGS = [f"--gin=FetchConfig.{name} = {value!r}" for name, value in BINDINGS.items()]


@pytest.fixture
def server():
    """Answers slowly enough to be interrupted."""
    running = Server()
    running.routes.update({f"/{at}": (0.05, *reply(PNG)) for at in range(40)})
    yield running
    running.close()


@pytest.fixture
def arguments(server, tmp_path):
    """Of a fetch of everything on the server."""
    addresses = tmp_path / "urls.txt"
    addresses.write_text("\n\n".join(map(server.url, server.routes)) + "\r\n")
    return [f"--input={addresses}", f"--output={tmp_path / 'store'}", *FLAGS]


def start(arguments: list[str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "data_pipelines.fetch", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def interrupt(process: subprocess.Popen, server: Server, how: signal.Signals) -> None:
    """Once some requests were answered."""
    deadline = time.monotonic() + 60
    while len(server.asked()) < 12:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, how)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_fetch_goes_on(server, arguments, tmp_path, how, capsys):
    process = start(arguments)
    interrupt(process, server, how)
    printed, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "fetched" in printed
        assert errors.strip() == "interrupted; the same command goes on from here"
    store = ImageStore(tmp_path / "store")
    known = {path for path in server.routes if store.lookup(server.url(path))}
    assert 1 <= len(known) < 40
    for record in tmp_path.glob("store/image/*/*/*.json"):
        assert record.with_suffix(".bytes").read_bytes() == PNG

    server.requests.clear()
    server.routes.update({path: reply(PNG) for path in server.routes})
    assert command_line.run(fetch.main, arguments) == 0
    assert sorted(server.asked()) == sorted(set(server.routes) - known)
    assert "40 addresses in" in capsys.readouterr().out
    assert all(store.lookup(server.url(path)) for path in server.routes)


def test_the_table(server, arguments, tmp_path, capsys):
    server.routes.update({path: reply(PNG) for path in server.routes})
    with (tmp_path / "urls.txt").open("ab") as file:
        file.write(f"{server.url('/none')}\n{server.url('/no')}\nhttp://10.0.0.1/\n".encode() + b"http://\xff\xfe/\n")
    for fetched, there in ((40, 0), (0, 40)):
        assert command_line.run(fetch.main, arguments) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith("44 addresses in ")
        assert lines[0].endswith(f" s: {fetched} fetched ({fetched * len(PNG) / 1e6:.1f} MB), {there} already there")
        assert [line.split() for line in lines[2:]] == [
            ["fetch_not_found", "2"], ["fetch_bad_url", "1"], ["fetch_private_address", "1"]
        ]  # fmt: skip


def test_pages_go_elsewhere(server, arguments, tmp_path, capsys):
    server.routes.update({path: reply(b"<html>Text") for path in server.routes})
    assert command_line.run(fetch.main, [*arguments, "--kind=page"]) == 0
    assert "40 fetched" in capsys.readouterr().out
    assert ImageStore(tmp_path / "store", "page").lookup(server.url("/0"))
    assert ImageStore(tmp_path / "store").lookup(server.url("/0")) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--input=nowhere.txt"], "nowhere.txt is not a file"),
        (["--gin=FetchConfig.contact = ''"], "contact is empty"),
        (["--gin=FetchConfig.delay = -1"], "delay is -1; it must be 0 or more"),
        (["--gin=FetchConfig.speed = 9"], "speed"),
        (["--gin_file=none.gin"], "none.gin"),
    ],
)
def test_mistakes(arguments, tmp_path, changes, message):
    with pytest.raises(BuildError, match=message):
        fetch.main([*arguments, *changes])
    assert not (tmp_path / "store").exists()


def test_the_gin_file_has_each_limit_at_its_default():
    assert config.resolve(FetchConfig, [str(GIN)], []) == FetchConfig()
    bound = {line.split(" = ")[0] for line in GIN.read_text().splitlines() if " = " in line and line[0] != "#"}
    assert bound == {f"config.FetchConfig.{field.name}" for field in dataclasses.fields(FetchConfig)} - {
        "config.FetchConfig.contact"
    }
