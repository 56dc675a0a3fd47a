"""Addresses as they are given, and what is asked for."""

import hypothesis
import pytest
import yarl
from hypothesis import strategies

from data_pipelines.fetching import urls
from tests.data_pipelines.fetching.fetches import outcome


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("http://h", "http://h/"),
        ("HTTP://EXAMPLE.com:80/A?b#c", "http://example.com/A?b"),
        ("https://h:443/", "https://h/"),
        ("http://h:443/", "http://h:443/"),
        ("  http://h/a b\n", "http://h/a%20b"),
        ("http://h/é?ü=ß", "http://h/%C3%A9?%C3%BC=%C3%9F"),
        ("http://münchen.de/", "http://xn--mnchen-3ya.de/"),
        ("http://user:secret@h/x", "http://h/x"),
        ("http://a@b@h/x", "http://h/x"),
        ("http://h/a/../../b", "http://h/b"),
        ("http://h/%7Ea%2f%2F?q=%2F&r=a+b%2Bc", "http://h/%7Ea%2f%2F?q=%2F&r=a+b%2Bc"),
        ("http://h/100%", "http://h/100%25"),
        ("http://h/a\r\nHost: evil", "http://h/aHost:%20evil"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("http://h./x", "http://h./x"),
        ("http://under_score.test/", "http://under_score.test/"),
    ],
)
def test_what_is_asked_for(given, asked):
    assert str(urls.parse(given)) == asked


BAD = [
    "", "x", "/a", "//h/a", "http:", "http://", "http:///a", "http:a", "ftp://h/", "file:///etc/passwd", "data:,x",
    "http://h:0/", "http://h:65536/", "http://h:x/", "http://a..b/", "http://.a/", "http://a b/", "http://%31.com/",
    "http://" + "a" * 64 + ".com/", "http://" + "a." * 130 + "com/", "http://[::1/", "http://[fe80::1%251]/",
    "http://h/" + "a" * 8000, "http://h/\udc80", "http://\udc80/", "http://a\\b/", "http://a<b/", "http://a\x00b/",
]  # fmt: skip


@pytest.mark.parametrize("given", BAD)
def test_what_cannot_be_asked_for(given, store):
    with pytest.raises(urls.BadUrl):
        urls.parse(given)
    assert outcome(given, store) == "fetch_bad_url"
    assert store.lookup(given) == "fetch_bad_url"


@hypothesis.given(strategies.text(max_size=30), strategies.text(max_size=30))
def test_any_text_is_an_address_or_refused(host, rest):
    for text in (rest, f"http://{host}/{rest}", f"http://h/{rest}"):
        try:
            url = urls.parse(text)
        except urls.BadUrl:
            continue
        assert str(url).isascii()
        assert str(url).isprintable()
        assert " " not in str(url)
        assert urls.parse(str(url)) == url
        assert url.user is None and url.password is None and not url.fragment


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b", "http://h/a/b"),
        ("/b?c", "http://h/b?c"),
        ("//other/b", "http://other/b"),
        ("https://other/b#x", "https://other/b"),
        ("?q", "http://h/a/x?q"),
        (" b ", "http://h/a/b"),
        ("caf\udcc3\udca9", "http://h/a/caf%C3%A9"),
        ("caf\udce9", "http://h/a/caf%E9"),
    ],
)
def test_where_redirects_lead(location, target):
    assert str(urls.join(yarl.URL("http://h/a/x"), location)) == target
