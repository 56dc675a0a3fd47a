"""Only the public internet is asked, and what the user allows, whatever names, redirects and spellings are tried."""

import ipaddress
import socket

import aiohttp
import hypothesis
import pytest
from hypothesis import strategies

from data_pipelines.fetching import addresses
from tests.data_pipelines.fetching.fetches import Names, encoded, outcome
from tests.data_pipelines.fetching.server import moved, reply

PNG = encoded()
PUBLIC = (
    "8.8.8.8 1.1.1.1 93.184.215.14 2606:4700::1111 2001:4860:4860::8888 ::ffff:8.8.8.8 2002:808:808::1 64:ff9b::808:808"
)
# One or more of each entry of IANA's registries of special-purpose addresses, of other networks that are not the web's,
# and of the ways to write an IPv4 address as an IPv6 one.
PRIVATE = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 100.100.100.200 127.0.0.1 127.255.255.254
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.192 192.0.2.1
    192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255 168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1
    ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::808:808 100::1 2001::1 2001:2::1 2001:10::1
    2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a00:1::1 2002:a9fe:a9fe:: 3fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254
    fe80::1 fe80::1%1 fec0::1 ff02::1 ff0e::1
"""


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses(address):
    assert addresses.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PRIVATE.split())
def test_other_addresses(address):
    assert not addresses.is_public(ipaddress.ip_address(address))


@hypothesis.given(strategies.ip_addresses(v=4))
def test_an_embedded_address_is_judged_as_what_it_stands_for(address):
    number, public = int(address), addresses.is_public(address)
    assert addresses.is_public(ipaddress.IPv6Address(0xFFFF << 32 | number)) == public
    assert addresses.is_public(ipaddress.IPv6Address(0x64FF9B << 96 | number)) == public
    assert addresses.is_public(ipaddress.IPv6Address(0x2002 << 112 | number << 80)) == public


@hypothesis.given(strategies.ip_addresses())
def test_what_the_standard_library_calls_local_is_not_public(address):
    if address.is_private or address.is_loopback or address.is_multicast or address.is_link_local:
        assert not addresses.is_public(address) or getattr(address, "ipv4_mapped", None)


ODD = "2130706434 0x7f000002 0x7f.2 0177.0.0.2 127.2 127.0.2 017700000002 [::ffff:127.0.0.2] [::ffff:7f00:2] ①②⑦.0.0.2"


@pytest.mark.parametrize("host", ODD.split())
def test_odd_spellings_of_an_address(store, host):
    names = Names()
    assert outcome(f"http://{host}/", store, names) == "fetch_private_address"
    assert names.asked == []
    assert store.lookup(f"http://{host}/") == "fetch_private_address"


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://127.0.0.1@127.0.0.2/",
     "http://[fd00:ec2::254]/", "http://0/", "https://192.168.0.1:8443/"],
)  # fmt: skip
@pytest.mark.parametrize("obey_robots", [True, False])
def test_where_a_page_or_a_redirect_may_not_lead(server, store, url, obey_robots):
    assert outcome(url, store, obey_robots=obey_robots) == "fetch_private_address"
    server.routes["/a"] = moved(url)
    assert outcome(server.url("/a"), store, obey_robots=obey_robots) == "fetch_private_address"


@pytest.mark.parametrize("host", ["127.0.0.2", "10.1.2.3", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1"])
@pytest.mark.parametrize("obey_robots", [True, False])
def test_names_of_private_addresses(server, store, host, obey_robots):
    names = {"innocent.test": host, "allowed.test": "127.0.0.1"}
    url = server.url("/a", "innocent.test")
    assert outcome(url, store, names, obey_robots=obey_robots) == "fetch_private_address"
    server.routes["/b"] = moved(url)
    assert outcome(server.url("/b", "allowed.test"), store, names, obey_robots=obey_robots) == "fetch_private_address"
    assert server.asked() == ["/b"]


def test_a_name_that_changes_its_address_between_two_looks(server, store):
    """DNS rebinding: the first answer is allowed, the second one is not, and the second one is connected to."""
    server.routes["/a"] = moved("http://turning.test:9/b")
    names = Names({"turning.test": ["127.0.0.1", "127.0.0.2"]})
    assert outcome(server.url("/a", "turning.test"), store, names) == "fetch_private_address"
    assert names.asked == ["turning.test"] * 2


def test_system_names_are_checked_as_well(server, store):
    """`localhost` by the system's own resolver; not with `Names`."""
    resolver = "localhost"

    class System(Names):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            assert host == resolver
            return await aiohttp.ThreadedResolver().resolve(host, port, family)

    networks = ("10.0.0.0/8",)
    url = server.url("/a", "localhost")
    assert outcome(url, store, System(), private_networks_allowed=networks) == "fetch_private_address"
    assert server.requests == []


def test_no_proxy_of_the_environment_is_used(server, store, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.2:9")
    server.routes["/a"] = reply(PNG)
    assert outcome(server.url("/a"), store) == "fetched"


def test_networks_may_be_allowed(server, store):
    server.routes["/a"] = reply(PNG)
    url = server.url("/a")
    assert outcome(url, store, private_networks_allowed=()) == "fetch_private_address"
    assert not server.requests
    mapped = f"http://[::ffff:127.0.0.1]:{server.port}/a"
    assert outcome(mapped, store, private_networks_allowed=("127.0.0.0/30",)) == "fetched"


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x", "http://", "http://[::1", "javascript:1", ""]
)
def test_redirects_to_what_is_not_http(server, store, location):
    server.routes["/a"] = moved(location)
    url = server.url("/a")
    assert outcome(url, store, max_redirects=2) == "fetch_redirects"
    assert store.lookup(url) == "fetch_redirects"


def test_redirects_are_followed_so_far_and_no_farther(server, store):
    server.routes["/0"] = moved(server.url("/1", "other.test"))
    for step in range(1, 5):
        server.routes[f"/{step}"] = server.routes[f"/{step}?q=%2F"] = moved(f"{step + 1}?q=%2F#fragment")
    server.routes["/5?q=%2F"] = reply(PNG)
    names = {"other.test": "127.0.0.1"}
    assert outcome(server.url("/0"), store, names, max_redirects=5) == "fetched"
    assert server.asked() == ["/0", "/1", "/2?q=%2F", "/3?q=%2F", "/4?q=%2F", "/5?q=%2F"]
    assert outcome(server.url("/1"), store, max_redirects=3) == "fetch_redirects"
    server.routes["/loop"] = moved("/loop")
    assert outcome(server.url("/loop"), store) == "fetch_redirects"
    server.routes["/nowhere"] = reply(status="302 Found")
    assert outcome(server.url("/nowhere"), store) == "fetch_redirects"


def test_credentials_are_not_sent_along_redirects(server, store):
    server.routes["/a"] = moved(server.url("/b").replace("//", "//me:secret@"))
    server.routes["/b"] = reply(PNG)
    assert outcome(server.url("/a"), store) == "fetched"
    assert "Authorization" not in server.requests[-1].headers
