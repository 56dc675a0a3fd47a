"""Where pages and images come from: folders, archives, lists of addresses; and what they may not reach."""

import gzip
import json
from pathlib import Path

import pytest

from data_pipelines import command_line, embedded_web
from data_pipelines.fetching.store import ImageStore
from data_pipelines.m3w import archives, command, listed
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.mirror import Mirror
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Link
from tests.data_pipelines import warc_files
from tests.data_pipelines.test_m3w_build import drops, picture, prose, read, snapshot

SITE = "https://lessons.example.org/a/"


def run(*arguments) -> int:
    return command_line.run(command.main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("embedded") / "web"
    embedded_web.generate(root, embedded_web.Settings(seed=7, pages=30, pairs=1, clips=1), progress=False)
    return root / "site"


@pytest.mark.slow
def test_files_and_archives_give_the_same_bytes_with_any_number_of_workers(site, tmp_path):
    records = warc_files.of_folder(site, SITE)
    (tmp_path / "crawl").mkdir()
    for part in range(3):
        warc_files.write(tmp_path / "crawl" / f"{part}.warc.gz", records[part::3])
    plain = warc_files.write(tmp_path / "all.warc", records, compress=False)
    builds = {
        "files": ["--input", site, "--site", SITE],
        "folder of archives": ["--input", tmp_path / "crawl"],
        "plain, four workers": ["--input", plain, "--direct_num_workers=4"],
    }
    snapshots = {}
    for name, arguments in builds.items():
        assert run(*arguments, "--output", tmp_path / name) == 0
        snapshots[name] = snapshot(tmp_path / name / "m3w" / "1.0.0")
    assert len(snapshots["files"]) >= 4
    for name in builds:
        assert snapshots[name] == snapshots["files"], name
    documents = read(tmp_path / "files" / "m3w" / "1.0.0")
    assert all(key.startswith(SITE) for key in documents)
    assert all(image.source.startswith(SITE) for document in documents.values() for image in document.media)


def page(*images: str, name: str = "Ann") -> bytes:
    return f"<p>{prose(name)}</p>{''.join(f'<img src={image!r}>' for image in images)}".encode()


def test_what_an_archive_holds_beside_pages(tmp_path):
    picture(tmp_path / "a.png", 1)
    image = (tmp_path / "a.png").read_bytes()
    records = [
        warc_files.record("warcinfo", "", b"software: none\r\n", "application/warc-fields"),
        warc_files.response(f"{SITE}old.html", page("a.png", name="Old"), "text/html", date="2020-01-01T00:00:00Z"),
        warc_files.response(f"{SITE}old.html", page("a.png", name="New"), "text/html", date="2022-01-01T00:00:00Z"),
        warc_files.record("request", f"{SITE}old.html", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"),
        warc_files.response(f"{SITE}gone.html", page("a.png"), "text/html", status="404 Not Found"),
        warc_files.response(
            f"{SITE}packed.html",
            gzip.compress(page("a.png?v=2", name="Packed")),
            "text/html; charset=utf-8",
            headers="Content-Encoding: gzip\r\n",
        ),
        warc_files.record("resource", f"{SITE}a.png", image, "image/png"),
        warc_files.response(f"{SITE}data.json", b"{}", "application/json"),
        warc_files.response("urn:uuid:1", page("a.png"), "text/html"),
    ]
    path = warc_files.write(tmp_path / "one.warc.gz", records)
    assert run("--input", path, "--output", tmp_path / "out", "--gin=FrequencyRules.min_pages=9") == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert {key: document.text.split()[0] for key, document in documents.items()} == {
        f"{SITE}old.html": "New",
        f"{SITE}packed.html": "Packed",
    }
    assert {image.source for document in documents.values() for image in document.media} == {f"{SITE}a.png"}
    report = json.loads((tmp_path / "out" / "m3w" / "drops.json").read_text())
    assert drops(report) == {("page", "page_captured_again"): 1}


@pytest.mark.parametrize("compress", [True, False])
def test_a_damaged_archive_gives_what_stands_before_the_damage(tmp_path, compress):
    records = [warc_files.response(f"{SITE}{name}.html", page("a.png", name=name), "text/html") for name in "abc"]
    path = warc_files.write(tmp_path / "cut.warc", records, compress=compress)
    whole = path.read_bytes()
    last = len(gzip.compress(records[2], mtime=0)) if compress else len(records[2])
    path.write_bytes(whole[: len(whole) - last] + b"\x00rubbish\x00" * 20)
    found = list(archives.read(str(path), M3WConfig()))
    assert [one.url for one in found if not isinstance(one, Drop)] == [f"{SITE}a.html", f"{SITE}b.html"]
    assert [(one.rule, one.unit) for one in found if isinstance(one, Drop)] == [("archive_damaged", "document")]


HOSTILE = (
    "file:///etc/hostname",
    "../../secret.png",
    "..%2f..%2fsecret.png",
    "http://127.0.0.1:1/a.png",
    "http://[::1]/a.png",
    "http://169.254.169.254/latest/meta-data",
    "//10.0.0.1/a.png",
    "javascript:alert(1)",
    "data:image/png;base64,AAAA",
    "gopher://a/b.png",
)


def test_nothing_outside_a_folder_is_opened(tmp_path, monkeypatch):
    root = tmp_path / "in" / "deep"
    root.mkdir(parents=True)
    picture(tmp_path / "secret.png", 5)
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "page.html").write_bytes(page(*HOSTILE, "link.png"))
    opened = []
    monkeypatch.setattr(
        "data_pipelines.pipeline.references.read", lambda reference: opened.append(reference.path) or b""
    )
    for place in ("", SITE):
        found = list(Mirror(root, place).read(b"page.html", M3WConfig()))
        images = [item for one in found if not isinstance(one, Drop) for item in one.items if hasattr(item, "urls")]
        local = [item for one in found if not isinstance(one, Drop) for item in one.items if hasattr(item, "reference")]
        assert local == []
        assert all(isinstance(item, Link) and item.urls[0].startswith("http") for item in images)
        assert "image_outside_input" in {one.rule for one in found if isinstance(one, Drop)} or place
    assert run("--input", root, "--output", tmp_path / "out") == 2
    assert opened == []


def test_hostile_addresses_are_not_fetched(tmp_path, capsys):
    root = tmp_path / "in"
    root.mkdir()
    (root / "page.html").write_bytes(page(*HOSTILE))
    arguments = ["--input", root, "--output", tmp_path / "out", "--store", tmp_path / "store", "--fetch"]
    assert run(*arguments) == 2 and "contact" in capsys.readouterr().err
    assert run(*arguments, "--gin=FetchConfig.contact='mailto:nobody@example.org'") == 2
    assert "fetch_private_address" in capsys.readouterr().out
    store = ImageStore(tmp_path / "store")
    assert store.lookup("http://127.0.0.1:1/a.png") == "fetch_private_address"
    assert store.lookup("http://169.254.169.254/latest/meta-data") == "fetch_private_address"


def test_a_list_of_addresses_is_fetched_and_so_are_its_images(tmp_path, capsys):
    pages = ImageStore(tmp_path / "store", "page")
    pages.put(f"{SITE}1.html", page("http://127.0.0.1:1/a.png"), final_url="", status=200, mime="text/html")
    (tmp_path / "urls.txt").write_text(f"{SITE}1.html\nhttp://127.0.0.1:1/b.html\n")
    arguments = [
        "--input",
        tmp_path / "urls.txt",
        "--output",
        tmp_path / "out",
        "--store",
        tmp_path / "store",
        "--fetch",
    ]
    assert run(*arguments, "--gin=FetchConfig.contact='mailto:nobody@example.org'") == 2
    said = capsys.readouterr()
    assert said.out.count("fetch_private_address") == 2 and "nothing came through" in said.err


def test_a_list_of_addresses_with_a_store(tmp_path, capsys):
    picture(tmp_path / "a.png", 1)
    pages, images = (ImageStore(tmp_path / "store", kind) for kind in ("page", "image"))
    answer = {"final_url": "", "status": 200, "mime": ""}
    pages.put(f"{SITE}1.html", page("none.png", "../a.png"), **answer)
    pages.refuse(f"{SITE}2.html", "fetch_robots")
    images.put("https://lessons.example.org/a.png", (tmp_path / "a.png").read_bytes(), **answer)
    images.refuse(f"{SITE}none.png", "fetch_not_found")
    (tmp_path / "urls.txt").write_text(f"# a list\n{SITE}1.html#top\n\n{SITE}2.html\n{SITE}3.html\n{SITE}1.html\n")
    arguments = ["--input", tmp_path / "urls.txt", "--output", tmp_path / "out"]
    assert run(*arguments) == 2 and "--store" in capsys.readouterr().err
    assert run(*arguments, "--store", tmp_path / "store") == 0
    documents = read(tmp_path / "out" / "m3w" / "1.0.0")
    assert sorted(documents) == [f"{SITE}1.html"]
    assert [image.source for image in documents[f"{SITE}1.html"].media] == ["https://lessons.example.org/a.png"]
    assert drops(json.loads((tmp_path / "out" / "m3w" / "drops.json").read_text())) == {
        ("page", "fetch_robots"): 1,
        ("page", "page_not_fetched"): 1,
        ("image", "fetch_not_found"): 1,
    }


def test_a_list_that_is_none(tmp_path):
    (tmp_path / "a.txt").write_text("https://a.org/\nnot an address\n")
    with pytest.raises(BuildError, match="line 2"):
        listed.read_list(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("\n# nothing\n")
    with pytest.raises(BuildError, match="no address"):
        listed.read_list(tmp_path / "a.txt")


def test_a_site_that_is_no_address(tmp_path, capsys):
    (tmp_path / "a.html").write_bytes(page("a.png"))
    assert run("--input", tmp_path, "--output", tmp_path.parent / "o", "--site", "example.org") == 2
    assert "--site" in capsys.readouterr().err
