"""Addresses of pages and images: absolute, of the web, and one for one thing."""

import pytest

from data_pipelines import addresses

PAGE = "https://a.org/docs/page.html?x=1#top"


@pytest.mark.parametrize(
    ("base", "url", "wanted"),
    [
        (None, "img/a.png", "https://a.org/docs/img/a.png"),
        (None, " ../a.png\n", "https://a.org/a.png"),
        (None, "../../../a.png", "https://a.org/a.png"),
        (None, "/a b.png?q=a+b#x", "https://a.org/a%20b.png?q=a+b"),
        (None, "a%2bb%c3%a9%20%2f.png?c=%2b", "https://a.org/docs/a+b%C3%A9%20%2F.png?c=%2b"),
        (None, "a+bé.png", "https://a.org/docs/a+b%C3%A9.png"),
        (None, "//b.org/a.png", "https://b.org/a.png"),
        (None, "img\\a.png", "https://a.org/docs/img/a.png"),
        ("http://c.org/d/", "a.png", "http://c.org/d/a.png"),
        ("../e/", "a.png", "https://a.org/e/a.png"),
        (None, "", "https://a.org/docs/page.html?x=1"),
        (None, "file:///etc/passwd", ""),
        (None, "javascript:alert(1)", ""),
        (None, "data:image/png;base64,AAAA", ""),
        (None, "http://[bad", ""),
        (None, "http:///a.png", ""),
        ("ftp://c.org/", "a.png", ""),
    ],
)
def test_absolute(base, url, wanted):
    assert addresses.absolute(PAGE, base, url) == wanted


def test_a_file_has_the_address_that_a_page_gives_it():
    for name in ("a b.png", "a+b.png", "é.png", "a%b.png", "a?b.png", "a#b.png", "(1)&.png", "~x.png"):
        address = addresses.of_file("https://a.org/d/", name)
        assert addresses.absolute("https://a.org/d/", None, address) == address
        assert addresses.absolute("https://a.org/d/page.html", None, address.rpartition("/")[2]) == address


def test_without_query():
    assert addresses.without_query("https://a.org/a.png?b=c?d") == "https://a.org/a.png"
