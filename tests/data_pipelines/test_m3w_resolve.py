"""From URLs to files: what is found, and that nothing outside the input is."""

import os

import pytest

from data_pipelines.m3w.resolve import Resolved, check_file, relative_path


@pytest.mark.parametrize(
    ("base", "url", "source"),
    [
        (None, "a.png", "pages/en/a.png"),
        (None, "./x/../a.png", "pages/en/a.png"),
        (None, "../../img/a.png", "img/a.png"),
        (None, "/img/a.png", "img/a.png"),
        (None, "a%20b%C3%A9.png?v=3#top", "pages/en/a bé.png"),
        (None, " a.png\n", "pages/en/a.png"),
        (None, "img\\a.png", "pages/en/img/a.png"),
        ("../", "a.png", "pages/a.png"),
        ("/root/index.html", "a.png", "root/a.png"),
        ("/", "a.png", "a.png"),
        ("sub/", "/a.png", "a.png"),
    ],
)
def test_addresses_below_the_input(base, url, source):
    assert relative_path("pages/en/index.html", base, url) == Resolved(source=source)


@pytest.mark.parametrize(
    ("base", "url", "rule"),
    [
        (None, "../../../etc/passwd", "image_outside_input"),
        (None, "%2e%2e/%2e%2e/%2E%2E/secret.png", "image_outside_input"),
        (None, "..\\..\\..\\secret.png", "image_outside_input"),
        (None, "/../secret.png", "image_outside_input"),
        ("../../../", "secret.png", "image_outside_input"),
        (None, "http://127.0.0.1/a.png", "image_not_local"),
        (None, "//169.254.169.254/a.png", "image_not_local"),
        (None, "file:///etc/passwd", "image_not_local"),
        (None, "C:\\a.png", "image_not_local"),
        (None, "data:image/png;base64,AAAA", "image_not_local"),
        (None, "http://[bad", "image_not_local"),
        ("https://example.org/", "a.png", "image_not_local"),
        (None, "?only=query", "image_missing"),
        (None, "a%00.png", "image_missing"),
        (None, "../..", "image_missing"),
    ],
)
def test_addresses_that_are_refused(base, url, rule):
    assert relative_path("pages/en/index.html", base, url) == Resolved(rule=rule)


@pytest.fixture
def root(tmp_path):
    """An input folder with good files, beside a secret one, and links between them."""
    inside = tmp_path / "input"
    (inside / "img").mkdir(parents=True)
    (inside / "img" / "a.png").write_bytes(b"a")
    (tmp_path / "secret.png").write_bytes(b"s")
    (tmp_path / "input-secret.png").write_bytes(b"s")
    (inside / "out.png").symlink_to(tmp_path / "secret.png")
    (inside / "sibling.png").symlink_to(tmp_path / "input-secret.png")
    (inside / "outdir").symlink_to(tmp_path)
    (inside / "in.png").symlink_to("img/a.png")
    (inside / "loop.png").symlink_to("loop.png")
    os.mkfifo(inside / "pipe.png")
    return inside


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("img/a.png", ""),
        ("in.png", ""),
        ("out.png", "image_outside_input"),
        ("sibling.png", "image_outside_input"),
        ("outdir/secret.png", "image_outside_input"),
        ("../secret.png", "image_outside_input"),
        ("/etc/hostname", "image_outside_input"),
        ("loop.png", "image_missing"),
        ("pipe.png", "image_missing"),
        ("img", "image_missing"),
        ("none.png", "image_missing"),
        ("x" * 5000, "image_missing"),
    ],
)
def test_files(root, source, rule):
    assert check_file(root, source) == rule


def test_an_input_folder_that_is_itself_a_link(root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    assert check_file(link, "img/a.png") == ""
    assert check_file(link, "out.png") == "image_outside_input"
