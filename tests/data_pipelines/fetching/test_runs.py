"""Runs of any length: what is asked again, what is told, and what is held in memory."""

import collections
import dataclasses
import gc
import tracemalloc

import pytest

from data_pipelines.fetching import addresses, hosts, urls
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.fetcher import fetch
from data_pipelines.fetching.overflow import Overflow
from data_pipelines.fetching.store import ImageStore
from data_pipelines.pipeline import references
from tests.data_pipelines.fetching.fetches import QUICK, encoded, run
from tests.data_pipelines.fetching.server import reply

PNG = encoded()


def test_each_address_is_asked_for_once_and_told_of_as_often_as_it_is_given(server, store):
    server.routes["/a"], server.routes["/b"] = (0.1, *reply(PNG)), (0.1, *reply(PNG, "404 Not Found"))
    given = [server.url(path) for path in ["/a", "/a", "/b", "/a", "/b"]]
    results = run(given, store)
    assert sorted(server.asked()) == ["/a", "/b"]
    assert collections.Counter(result.outcome for result in results) == {
        "fetched": 1, "already_there": 2, "fetch_not_found": 2
    }  # fmt: skip
    assert {result.reference for result in results if result.url == given[0]} == {store.lookup(given[0])}
    results = run(given, store)
    assert len(server.asked()) == 2
    assert [result.outcome for result in results].count("already_there") == 3
    assert sum(result.size for result in results) == 0


def test_without_an_event_loop(server, store):
    server.routes["/a"] = reply(PNG)
    counts = fetch(iter([server.url("/a"), "ftp://x"]), store, FetchConfig(**QUICK))
    assert counts == {"fetched": 1, "fetch_bad_url": 1}
    assert fetch([], store, FetchConfig(**QUICK)) == {}


def test_a_full_disk_ends_the_run(server, store, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    server.routes.update({f"/{at}": reply(PNG) for at in range(30)})
    monkeypatch.setattr(ImageStore, "put", full)
    with pytest.raises(OSError, match="No space left"):
        run(map(server.url, server.routes), store)


def test_too_many_sockets_end_the_run(store, monkeypatch):
    """Otherwise every host would seem dead."""

    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(addresses.Gate, "socket", none_left)
    with pytest.raises(OSError, match="Too many open files"):
        run(["http://127.0.0.1:1/"], store)


def test_an_error_of_the_caller_ends_the_run(server, store):
    def given():
        yield server.url("/a")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run(given(), store)


@pytest.mark.parametrize(("count", "length", "traced"), [(20_000, 10, False), (3_000, 7_000, True)])
def test_many_addresses_in_little_memory(store, count, length, traced):
    """Of a dead host, so that the test is quick: they are read only as fast as they end, and leave nothing behind."""
    read = ended = most_ahead = 0

    def given():
        nonlocal read, most_ahead
        for at in range(count):
            read += 1
            most_ahead = max(most_ahead, read - ended)
            yield f"http://127.0.0.1:1/{'x' * length}/{at}"

    def end(_):
        nonlocal ended
        ended += 1

    config = FetchConfig(**QUICK | {"host_failures": 1, "waiting": 500, "waiting_per_host": 200})
    gc.collect()
    if traced:
        tracemalloc.start()
    counts = fetch(given(), store, config, end)
    if traced:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 15_000_000  # bytes; the addresses alone are more
    assert counts.total() == ended == count
    assert set(counts) == {"fetch_connection", "fetch_host_given_up"}
    assert most_ahead < 2_000


def test_what_does_not_fit_into_memory_waits_on_disk(server, store, monkeypatch):
    most = 0
    add = hosts.Hosts.add

    def counted(self, *arguments, **named):
        nonlocal most
        add(self, *arguments, **named)
        most = max(most, self.waiting)

    monkeypatch.setattr(hosts.Hosts, "add", counted)
    names = {f"{at}.test": "127.0.0.1" for at in range(10)}
    server.routes.update({f"/{at}": reply(PNG) for at in range(100)})
    given = [server.url(path, f"{at % 10}.test") for at, path in enumerate(server.routes)]
    results = run(given, store, names, waiting=20, waiting_per_host=4, connections=3)
    assert sorted(result.url for result in results) == sorted(given)
    assert {result.outcome for result in results} == {"fetched"}
    assert sorted(server.asked()) == sorted(server.routes)
    assert most == 20


def test_what_waits_on_disk_is_not_looked_up_again_and_again(server, store, monkeypatch):
    looks = collections.Counter()
    lookup = ImageStore.lookup

    def counted(self, url):
        looks[url] += 1
        return lookup(self, url)

    monkeypatch.setattr(ImageStore, "lookup", counted)
    server.routes.update({f"/{at}": reply(PNG) for at in range(60)})
    results = run(map(server.url, server.routes), store, waiting=20, waiting_per_host=2, connections_per_host=1)
    assert {result.outcome for result in results} == {"fetched"}
    assert looks.total() <= 3 * 60  # one when it comes in, one when it fits, and few that fitted a moment before


def test_overflow():
    waiting = Overflow()
    assert not waiting
    given = ["http://h/a", "http://h/a\nb", "http://h/é"]
    for url in given:
        waiting.add(url)
    assert waiting
    again = []
    for url in waiting.drain():
        again.append(url)
        waiting.add(url + "2")
    assert again == given
    assert [*waiting.drain()] == [url + "2" for url in given]
    assert not waiting


def test_hosts_without_work_are_forgotten_in_the_end(monkeypatch):
    monkeypatch.setattr(hosts, "_REMEMBERED", 100)
    queues = hosts.Hosts(FetchConfig())
    first = urls.parse("http://first.test/")
    queues.of(first).failures = 3
    for at in range(1000):
        url = urls.parse(f"http://{at}.test/")
        queues.add(hosts.Job(str(url), url))
        host, job = queues.take()
        assert job.url == url
        queues.starts(host)
        queues.release(host)
        if at == 50:
            assert queues.of(first).failures == 3
    assert len(queues._hosts) == 100
    assert queues.of(first).failures == 0


def test_bytes_are_those_that_were_sent(server, store):
    bodies = {f"/{at}": encoded("PNG", 8 + at) for at in range(30)}
    server.routes.update({path: reply(body) for path, body in bodies.items()})
    for result in run(map(server.url, bodies), store):
        assert references.read(result.reference) == bodies[result.url.removeprefix(server.url(""))]


@pytest.mark.parametrize(
    ("field", "value"),
    [("connections", 0), ("delay", -1.0), ("total_timeout", 0.0), ("waiting_per_host", 100_000), ("max_bytes", -1),
     ("image_types", ("svg",)), ("private_networks_allowed", ("home",)), ("contact", "a\r\nX: b"), ("retries", -1),
     ("delay", float("nan"))],
)  # fmt: skip
def test_mistaken_limits(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(FetchConfig(), **{field: value})
