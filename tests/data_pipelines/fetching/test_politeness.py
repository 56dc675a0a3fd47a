"""How fast and how often hosts are asked; measured by the server."""

import datetime
import email.utils
import itertools
import time

import pytest

from data_pipelines.fetching.exchange import retry_after
from tests.data_pipelines.fetching.fetches import Names, encoded, outcome, run
from tests.data_pipelines.fetching.server import Server, reply

PNG = encoded()
SLOW = (0.03, *reply(PNG))


def serve(server: Server, count: int, script=SLOW, host: str = "127.0.0.1") -> list[str]:
    """Gives the server `count` images of a host; their addresses."""
    paths = [f"/{host}/{at}" for at in range(count)]
    server.routes.update(dict.fromkeys(paths, script))
    return [server.url(path, host) for path in paths]


def gaps(server: Server) -> list[float]:
    """Seconds from each request to the next."""
    return [later.time - earlier.time for earlier, later in itertools.pairwise(server.requests)]


@pytest.mark.parametrize("most", [1, 3])
def test_connections_to_one_host(server, store, most):
    run(serve(server, 12), store, connections_per_host=most)
    assert server.most_at_once == most


def test_connections_to_all_hosts(server, store):
    hosts = [f"{at}.test" for at in range(6)]
    given = [url for host in hosts for url in serve(server, 4, host=host)]
    run(given, store, dict.fromkeys(hosts, "127.0.0.1"), connections=5, connections_per_host=2)
    assert server.most_at_once == 5
    server.most_at_once = 0
    given = [url for host in hosts for url in serve(server, 5, host=host)]
    run(given, store, dict.fromkeys(hosts, "127.0.0.1"), connections_per_host=1)
    assert 1 < server.most_at_once <= 6


def test_the_delay_between_requests_to_one_host(server, store):
    """From start to start; on the way to the server a request may lose some time."""
    run(serve(server, 6, reply(PNG)), store, delay=0.1)
    assert sum(gaps(server)) > 0.4
    assert sorted(gaps(server))[2] > 0.05


def test_a_host_is_told_by_its_name_whatever_the_port(server, store):
    other = Server()
    try:
        given = [url for both in zip(serve(server, 4), serve(other, 4), strict=True) for url in both]
        run(given, store, delay=0.1)
        times = sorted(request.time for request in server.requests + other.requests)
        assert times[-1] - times[0] > 0.6
    finally:
        other.close()


def test_hosts_do_not_wait_for_each_other(server, store):
    """One host has more than fits into memory, and takes 1.6 s for it; the others, given later, are done before it."""
    names = dict.fromkeys(["slow.test", "a.test", "b.test"], "127.0.0.1")
    slow = serve(server, 40, (0.04, *reply(PNG)), "slow.test")
    quick = [*serve(server, 20, reply(PNG), "a.test"), *serve(server, 20, reply(PNG), "b.test")]
    results = run(slow + quick, store, names, connections_per_host=1, waiting=15, waiting_per_host=5)
    assert {result.outcome for result in results} == {"fetched"}
    assert sorted(result.url for result in results) == sorted(slow + quick)
    last_quick = max(at for at, result in enumerate(results) if result.url in quick)
    assert last_quick < len(quick) + 25  # 25 of the slow ones would have to end before the others have room


def test_a_redirect_waits_for_its_own_host(server, store):
    server.routes["/a"] = reply(status="302 Found", Location="/b")
    server.routes["/b"] = reply(PNG)
    assert outcome(server.url("/a"), store, delay=0.2) == "fetched"
    assert gaps(server)[0] > 0.1


def test_a_host_that_asks_for_patience_gets_it(server, store):
    """Not only the address that was refused waits."""
    server.routes["/a"] = [reply(status="429 Too Many", Retry_After="1"), reply(PNG)]
    server.routes["/b"] = reply(PNG)
    results = run([server.url("/a"), server.url("/b")], store, retries=1, connections_per_host=1)
    assert [result.outcome for result in results] == ["fetched", "fetched"]
    assert server.asked()[0] == "/a"
    assert gaps(server)[0] > 0.98


@pytest.mark.parametrize("pause", ["3600", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_host_that_asks_for_too_much_patience_is_left_alone(server, store, pause):
    given = serve(server, 5, reply(status="503 Later", Retry_After=pause))
    results = run(given, store, retries=5, connections_per_host=1)
    assert [result.outcome for result in results].count("fetch_host_given_up") == 4
    assert len(server.requests) == 1
    assert all(store.lookup(url) is None for url in given)


def test_tries_wait_longer_and_longer(server, store):
    for path in ("/a", "/b"):
        server.routes[path] = [*[reply(status="503 Later")] * 3, reply(PNG)]
    assert outcome(server.url("/a"), store, retries=3, backoff=0.05) == "fetched"
    assert [gap > wait * 0.95 for gap, wait in zip(gaps(server), [0.05, 0.1, 0.2], strict=True)] == [True] * 3
    assert outcome(server.url("/b"), store, retries=2, backoff=0.01) == "fetch_http_error"
    assert server.asked() == ["/a"] * 4 + ["/b"] * 3


def test_another_try_does_not_wait_for_all_others(server, store):
    given = serve(server, 40)
    server.routes["/127.0.0.1/0"] = [reply(status="503 Later"), reply(PNG)]
    run(given, store, retries=1, backoff=0.02, connections_per_host=1)
    assert server.asked()[0] == "/127.0.0.1/0"
    assert "/127.0.0.1/0" in server.asked()[1:20]


@pytest.mark.parametrize("status", ["400 Bad", "401 Who", "404 No", "451 Law"])
def test_lasting_failures_are_not_tried_again(server, store, status):
    server.routes["/a"] = reply(status=status)
    outcome(server.url("/a"), store, retries=3)
    assert server.asked() == ["/a"]


def test_a_dead_host_is_given_up(store):
    names = Names()
    given = [f"http://dead.test/{at}" for at in range(50)]
    for _ in range(2):  # the next run tries again
        names.asked.clear()
        results = run(given, store, names, host_failures=3, connections_per_host=1, retries=1)
        outcomes = [result.outcome for result in results]
        assert outcomes.count("fetch_host_given_up") == 50 - outcomes.count("fetch_connection")
        assert names.asked == ["dead.test"] * 3


def test_a_redirect_to_a_host_that_was_given_up(server, store):
    server.routes["/a"] = (0.2, *reply(status="302 Found", Location="http://dead.test/b"))
    names = Names()
    given = ["http://dead.test/a", server.url("/a")]
    outcomes = {result.url: result.outcome for result in run(given, store, names, host_failures=1)}
    assert outcomes == dict(zip(given, ["fetch_connection", "fetch_host_given_up"], strict=True))
    assert names.asked == ["dead.test"]


def test_an_address_that_fails_does_not_give_up_its_host(server, store):
    for at in range(12):
        server.routes[f"/{at}"] = reply(PNG) if at % 2 else reply(status="500 Oops")
    results = run(map(server.url, server.routes), store, host_failures=2, connections_per_host=1)
    assert sorted({result.outcome for result in results}) == ["fetch_http_error", "fetched"]


def test_retry_after():
    assert retry_after("120") == 120
    date = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert retry_after(email.utils.format_datetime(date, usegmt=True)) == pytest.approx(60, abs=2)
    assert retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0
    for nothing in ("", "soon", "-1", "1.5", "\u0663", "Fri, 99 Foo 1999"):
        assert retry_after(nothing) is None
    assert retry_after("9" * 1000) > time.time() / 10
