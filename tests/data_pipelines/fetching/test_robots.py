"""robots.txt: who may ask for what, and what its absence means (RFC 9309)."""

import time

import pytest

from data_pipelines.fetching import robots
from tests.data_pipelines.fetching.fetches import IMPATIENT, encoded, outcome, run
from tests.data_pipelines.fetching.server import Endless, Request, Reset, moved, reply

PNG = encoded()
TEXT = b"""User-agent: *
Disallow: /

User-agent: Flamingo-JAX
Disallow: /private/
Disallow: /*.gif$
Allow: /private/open
"""


def robots_requests(server) -> list[Request]:
    return [request for request in server.requests if request.path == "/robots.txt"]


def test_what_is_forbidden_is_not_asked_for(server, store):
    server.routes["/robots.txt"] = reply(TEXT)
    allowed, forbidden = ["/a.png", "/private/open.png", "/b.gif?x"], ["/private/x", "/%70rivate/y", "/b.gif"]
    for path in allowed + forbidden:
        server.routes[path] = reply(PNG)
    for _ in range(2):
        found = {
            result.url: result.outcome for result in run(map(server.url, allowed + forbidden), store, obey_robots=True)
        }
        assert [found[server.url(path)] for path in forbidden] == ["fetch_robots"] * 3
    assert sorted(server.asked()) == sorted(allowed)
    assert len(robots_requests(server)) == 1  # the second run has nothing left to ask
    assert server.requests[0].path == "/robots.txt"
    assert "flamingo-jax" in server.requests[0].headers["User-Agent"]


def test_robots_may_be_left_alone(server, store):
    server.routes["/robots.txt"], server.routes["/a"] = reply(b"User-agent: *\nDisallow: /"), reply(PNG)
    assert outcome(server.url("/a"), store, obey_robots=False) == "fetched"
    assert robots_requests(server) == []


FORBIDDING = b"User-agent: *\nDisallow: /"
ABSENT = {
    "404": reply(FORBIDDING, "404 Not Found"),
    "403": reply(FORBIDDING, "403 Forbidden"),
    "empty": reply(),
    "page": reply(b"<html>Not found</html>"),
    "loop": moved("/robots.txt"),
    "nowhere": moved("http://"),
    "too late": reply(b"#" * 512_000 + b"\n" + FORBIDDING),
    "endless": (b"HTTP/1.1 200 OK\r\n\r\n", Endless(b"# nothing\n" * 1000)),
    "garbage": reply(bytes(range(256)) * 100),
}
UNKNOWN = {
    "500": reply(b"", "500 Oops"),
    "503": reply(b"", "503 Later"),
    "429": reply(b"", "429 Slow Down"),
    "gzip": reply(b"garbage", Content_Encoding="gzip"),
    "private": moved("http://127.0.0.2/robots.txt"),
    "hangs": (5.0,),
    "trickles": (b"HTTP/1.1 200 OK\r\n\r\n", *[b"#", 0.1] * 10),
    "elsewhere": moved("http://nowhere.test/robots.txt"),
}


@pytest.mark.parametrize("script", ABSENT.values(), ids=ABSENT)
def test_no_robots_allow_all(server, store, script):
    server.routes["/robots.txt"], server.routes["/a"] = script, reply(PNG)
    assert outcome(server.url("/a"), store, obey_robots=True) == "fetched"


@pytest.mark.parametrize("script", UNKNOWN.values(), ids=UNKNOWN)
def test_robots_that_nobody_can_read_forbid_all_for_this_run(server, store, script):
    server.routes["/robots.txt"], server.routes["/a"] = script, reply(PNG)
    patience = IMPATIENT if script in (UNKNOWN["hangs"], UNKNOWN["trickles"]) else {}
    assert outcome(server.url("/a"), store, obey_robots=True, **patience) == "fetch_robots"
    assert server.asked() == []
    assert store.lookup(server.url("/a")) is None
    server.routes["/robots.txt"] = reply(b"")
    assert outcome(server.url("/a"), store, obey_robots=True) == "fetched"


def test_slow_robots_are_asked_for_again(server, store):
    server.routes["/robots.txt"], server.routes["/a"] = [(5.0,), reply(b"")], reply(PNG)
    assert outcome(server.url("/a"), store, obey_robots=True, retries=1, **IMPATIENT) == "fetched"


def test_a_host_that_hangs_up_has_no_rules_but_no_connection_either(server, store):
    server.routes["/robots.txt"], server.routes["/a"] = (Reset(),), reply(PNG)
    assert outcome(server.url("/a"), store, obey_robots=True) == "fetch_connection"
    server.routes["/robots.txt"] = [(Reset(),), reply(FORBIDDING)]
    assert outcome(server.url("/a"), store, obey_robots=True, retries=1) == "fetch_robots"
    assert server.asked() == []


def test_robots_that_moved(server, store):
    server.routes["/robots.txt"] = moved(server.url("/rules", "other.test"))
    server.routes["/rules"], server.routes["/a"] = reply(FORBIDDING), reply(PNG)
    names = {"other.test": "127.0.0.1"}
    assert outcome(server.url("/a"), store, names, obey_robots=True) == "fetch_robots"


def test_each_hop_of_a_redirect_obeys_its_own_host(server, store):
    server.routes["/robots.txt"] = [reply(b""), reply(FORBIDDING)]
    server.routes["/a"] = moved(server.url("/b", "other.test"))
    server.routes["/b"] = reply(PNG)
    assert outcome(server.url("/a"), store, {"other.test": "127.0.0.1"}, obey_robots=True) == "fetch_robots"
    assert server.asked() == ["/a"]
    assert [request.headers["Host"] for request in robots_requests(server)] == [
        f"127.0.0.1:{server.port}", f"other.test:{server.port}"
    ]  # fmt: skip


def test_robots_are_asked_for_once_and_first(server, store):
    server.routes["/robots.txt"] = (0.05, *reply(b""))
    paths = [f"/{at}" for at in range(20)]
    for path in paths:
        server.routes[path] = reply(PNG)
    run(map(server.url, paths), store, obey_robots=True)
    assert len(robots_requests(server)) == 1
    assert server.requests[0].path == "/robots.txt"
    assert sorted(server.asked()) == sorted(paths)


def test_a_delay_is_obeyed_up_to_a_limit(server, store):
    server.routes["/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 0.1")
    paths = [f"/{at}" for at in range(4)]
    for path in paths:
        server.routes[path] = reply(PNG)
    run(map(server.url, paths), store, obey_robots=True)
    times = [request.time for request in server.requests]
    assert times[-1] - times[0] > 0.3  # four delays, and what time it takes from here to the server
    server.routes["/robots.txt"] = reply(b"User-agent: *\nCrawl-delay: 86400")
    server.routes["/b"] = reply(PNG)
    start = time.monotonic()
    assert outcome(server.url("/b"), store, obey_robots=True, max_crawl_delay=0.2) == "fetched"
    assert 0.2 <= time.monotonic() - start < 20


def test_a_file_made_to_take_long_does_not():
    """Rules copied for each of many names would be 10^8; and many wildcards."""
    names = b"".join(b"User-agent: x%d\n" % at for at in range(15_000))
    rules = b"".join(b"Disallow: /%d*x\n" % at for at in range(8_000))
    start = time.monotonic()
    parser = robots.parse(names + rules + b"User-agent: flamingo-jax\nDisallow: /" + b"*a" * 50 + b"*b$")
    assert parser.can_fetch("http://h/" + "a" * 8000, "flamingo-jax")
    assert not parser.can_fetch("http://h/" + "a" * 8000 + "b", "flamingo-jax")
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("agent", ["*", "flamingo-jax", "FLAMINGO-JAX", "flamingo", "flamingo*", "flamingo-jax # us"])
def test_names_that_mean_us(agent):
    parser = robots.parse(f"User-agent: {agent}\nDisallow: /a\n\nUser-agent: other\nDisallow: /b".encode())
    assert not parser.can_fetch("http://h/a", robots.PRODUCT)
    assert parser.can_fetch("http://h/b", robots.PRODUCT)


@pytest.mark.parametrize("agent", ["flamingo-jax-2", "jax", "o", "googlebot"])
def test_names_that_do_not(agent):
    parser = robots.parse(f"\ufeffUser-agent: {agent}\nDisallow: /a".encode())
    assert parser.can_fetch("http://h/a", robots.PRODUCT)
