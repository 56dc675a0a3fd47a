"""A benchmark's pictures are found in a corpus that some of them were put into, and nothing else is."""

import html.parser
import io
import json
from pathlib import Path

import pytest
from etils import epath
from PIL import Image as Picture
from PIL import ImageOps

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.errors import SourceError
from flamingo_jax.evaluation.contamination import report
from flamingo_jax.evaluation.contamination.stills import still_of
from tests.data import stored
from tests.evaluation.contamination.toy import BENCHMARK, clip_of, encoded, shapes, write_release


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = epath.Path(tmp_path_factory.mktemp("release"))
    write_release(folder)
    return folder


def documents(release):
    def original(seed):
        return (release / "test" / f"{seed:02}.jpg").read_bytes()

    decoded = Picture.open(io.BytesIO(original(1))).convert("RGB")
    small = encoded(shapes(2).resize((120, 90)), "JPEG", quality=60)
    mirrored = encoded(ImageOps.mirror(shapes(2)))
    first_frame = Picture.open(io.BytesIO(still_of(Video((release / "test" / "06.mp4").read_bytes())))).convert("RGB")
    pages = {
        "bytes": [Image(original(0), "https://<b>hostile</b>/0.jpg"), Text("the very file")],
        "pixels": [Text("as another file"), Image(encoded(decoded), "1.png")],
        "twice": [Image(small, "small"), Image(mirrored, "mirrored"), Image(encoded(shapes(300)), "its own")],
        "clip": [Video((release / "test" / "06.mp4").read_bytes(), "same.mp4"), Video(clip_of(90), "other.mp4")],
        "frame": [Image(encoded(first_frame), "first frame")],
        "second": [Image(encoded(shapes(560)), "shown after a second, so not found")],
        "broken": [Image(b"no picture", "x"), Text("t")],
        "text": [Text("no picture at all")],
    }
    pages |= {f"other{seed}": [Image(encoded(shapes(seed)), "")] for seed in range(100, 140)}
    return [Document(key, tuple(items)) for key, items in pages.items()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, release):
    made = {document.key: document for document in documents(release)}
    folder = tmp_path_factory.mktemp("corpora")
    stored.write(folder, "web", {"train": list(made)}, made.__getitem__)
    return folder / "web"


@pytest.fixture(scope="module")
def facts(tmp_path_factory, corpus, release):
    output = tmp_path_factory.mktemp("output") / "made" / "anew"
    found = report.check([corpus], "train", BENCHMARK, release, output, dev=False)
    return found, output


EXPECTED = {  # (document, number) -> (picture of the benchmark, exact)
    ("bytes", 0): ("00.jpg", True),
    ("pixels", 0): ("01.jpg", True),
    ("twice", 0): ("02.jpg", False),
    ("twice", 1): ("02.jpg", False),
    ("clip", 0): ("06.mp4", True),
    ("frame", 0): ("06.mp4", True),
}


def test_what_was_put_in_is_found_and_nothing_else(facts):
    found, _ = facts
    pairs = {(one["document"], one["number"]): (Path(one["benchmark"]).name, one["exact"]) for one in found["pairs"]}
    assert pairs == EXPECTED
    assert len(found["pairs"]) == len(EXPECTED)
    assert [one["exact"] for one in found["pairs"]] == [True] * 4 + [False] * 2
    assert found["found"] == "6 near-duplicate candidates, of which 4 exact"


def test_the_counts(facts):
    found, _ = facts
    (counts,) = found["corpora"]
    assert counts["documents"] == 48
    assert (counts["images"], counts["clips"], counts["undecodable"]) == (48, 2, 1)
    assert (counts["candidates"], counts["exact"], counts["pairs"]) == (6, 4, 6)
    split = found["splits"]["test"]
    assert (split["items"], split["pictures"], split["unreadable_pictures"]) == (14, 6, 1)
    assert (split["candidate_pictures"], split["exact_pictures"]) == (4, 3)
    assert split["exact_items"] == ["00.jpg/0", "00.jpg/1", "01.jpg/0", "01.jpg/1", "06.mp4/0", "06.mp4/1"]
    assert split["candidate_items"] == [*split["exact_items"], "02.jpg/0", "02.jpg/1"]
    assert [Path(path).name for path in found["unreadable"]] == ["05.jpg"]


def test_the_files(facts):
    found, output = facts
    assert sorted(path.name for path in output.iterdir()) == ["report.html", "report.json"]
    assert json.loads((output / "report.json").read_text()) == json.loads(json.dumps(found))


def test_the_page_shows_both_pictures_of_each_pair_and_loads_nothing(facts):
    found, output = facts
    text = (output / "report.html").read_text()
    seen = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, dict(attrs)))

    Reader().feed(text)
    sources = [attributes["src"] for tag, attributes in seen if tag == "img"]
    assert len(sources) == 2 * len(found["pairs"])
    assert all(source.startswith("data:image/") for source in sources)
    assert not {tag for tag, _ in seen} & {"script", "link", "iframe", "i"}
    assert not [value for _, attributes in seen for value in attributes.values() if value and "http" in value]
    assert "&lt;b&gt;hostile&lt;/b&gt;" in text
    assert "6 near-duplicate candidates, of which 4 exact: 48 images and 2 clips of training data against 6 pic" in text
    assert "Exact copies: 4 pairs" in text and "Other candidates: 2 pairs" in text


def test_processes_find_the_same(facts, tmp_path, corpus, release):
    found, _ = facts
    other = report.check([corpus], "train", BENCHMARK, release, tmp_path, dev=False, processes=2)
    assert other == found


def test_wrong_places_are_named(tmp_path, corpus, release):
    def check(paths=(corpus,), split="train", data_dir=release, output=tmp_path / "out", **options):
        return report.check(paths, split, BENCHMARK, data_dir, output, **options)

    with pytest.raises(SourceError, match="nowhere: no such dataset"):
        check([corpus, tmp_path / "nowhere"])
    with pytest.raises(SourceError, match="cannot open split 'training'"):
        check(split="training")
    with pytest.raises(ConfigError, match="name the corpora"):
        check([])
    with pytest.raises(ConfigError, match=r"nowhere[\s\S]*the test pictures"):
        check(data_dir=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="has no split 'val', but test, train"):
        check(query_split="val")
    (tmp_path / "half" / "test").mkdir(parents=True)
    (tmp_path / "half" / "test" / "a.jpg").write_bytes(b"broken")
    with pytest.raises(ConfigError, match=r"train[\s\S]*--nodev checks the split 'test' alone"):
        check(data_dir=tmp_path / "half")
    with pytest.raises(ConfigError, match=r"none of the benchmark's 1 pictures .* can be read, such as .*a\.jpg"):
        check(data_dir=tmp_path / "half", dev=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        check(output=tmp_path / "file")
