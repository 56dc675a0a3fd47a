"""The embedded web: reproducible, true to its ground truth, and as messy as it says."""

import collections
import html.parser
import io
import itertools
import json
import pathlib
import re

import av
import numpy as np
import pytest
from PIL import Image

from data_pipelines.embedded_web import Settings, __main__, generate, generation
from data_pipelines.embedded_web.pages import compose_page
from flamingo_jax.data.scenes.drawing import draw, draw_background
from flamingo_jax.data.scenes.scene import sample_scene, sample_size
from flamingo_jax.data.scenes.words import VOCABULARIES, Attributes

SETTINGS = Settings(seed=3, pages=14, pairs=10, clips=6)
LISTS = {"settings.json", "truth.json", "site/index.html", "clips/clips.json"}
ALL_WORDS = {word for words in VOCABULARIES.values() for word in words}


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    root = tmp_path_factory.mktemp("embedded") / "web"
    assert generate(root, SETTINGS, progress=False)
    return root


@pytest.fixture(scope="module")
def truth(web):
    return json.loads((web / "truth.json").read_text())


def tree(root: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def vocabulary_words(text: str) -> list[str]:
    """Words of the vocabularies in the text, plurals included."""
    return sorted(word for word in words(text) if word in ALL_WORDS or word.removesuffix("s") in ALL_WORDS)


def squeeze(text: str) -> str:
    return "".join(text.split())


class Linear(html.parser.HTMLParser):
    """All images and all text of a page, in order."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs)["src"])

    def handle_data(self, data):
        self.found.append(data)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(web, tmp_path):
    generate(tmp_path / "again", SETTINGS, progress=False)
    generate(tmp_path / "other", Settings(seed=4, pages=14, pairs=10, clips=6), progress=False)
    first, again, other = tree(web), tree(tmp_path / "again"), tree(tmp_path / "other")
    assert first == again
    assert (
        first["pairs/set-00/00000.txt"] + first["truth.json"] != other["pairs/set-00/00000.txt"] + other["truth.json"]
    )
    assert first["clips/videos/0000.mp4"] != other["clips/videos/0000.mp4"]


def test_more_items_leave_the_earlier_ones_as_they_are(web, tmp_path):
    generate(tmp_path / "more", Settings(seed=3, pages=16, pairs=12, clips=7), progress=False)
    more = tree(tmp_path / "more")
    for name, content in tree(web).items():
        assert name in LISTS or more[name] == content, name


def test_every_picture_of_the_truth_is_there_and_decodes(web, truth):
    folders = {"m3w": web / "site", "pairs": web / "pairs"}
    pictures = [key.split("/", 1) for key in truth["images"] if not key.startswith("clips/")]
    assert len(pictures) > 30
    for dataset, source in pictures:
        with Image.open(folders[dataset] / source) as image:
            image.load()
            assert min(image.size) >= 160 and max(image.size) <= 320 and max(image.size) <= 3 * min(image.size)
            assert image.format == {"png": "PNG", "jpg": "JPEG"}[source[-3:]]


def test_a_description_names_each_attribute_once_and_first_things_first(truth):
    for key, entry in truth["images"].items():
        assert vocabulary_words(entry["caption"]) == sorted(entry["attributes"].values()), key
        assert 7 <= len(words(entry["caption"])) <= 17, key
        assert set(entry["attributes"]) == set(truth["attributes"]) == {"colour", "shape", "background"}


def test_page_html_holds_the_expected_items_in_order(web, truth):
    pages = {path: page for path, page in truth["pages"].items() if page["items"]}
    assert len(pages) == SETTINGS.pages  # one page is empty, the index comes on top
    for path, page in pages.items():
        parser = Linear()
        parser.feed((web / "site" / path).read_bytes().decode(page["encoding"]))
        # Links part a paragraph's text, so white space is left out of the comparison.
        page_line, at = squeeze("".join(parser.found)), 0
        for item in page["items"]:
            wanted = squeeze(item.get("text") or item["image"])
            found = page_line.find(wanted, at)
            assert found >= 0, (path, item)
            at = found + len(wanted)


def test_the_words_on_a_page_belong_to_its_own_pictures_and_follow_them():
    for number in range(200):
        page = compose_page(0, number)
        captions = [picture.caption for picture in page.pictures]
        items = page.items()
        text = " ".join(item.get("text", "") for item in items)
        assert vocabulary_words(text) == vocabulary_words(" ".join(captions)), number
        for item, following in itertools.pairwise(items):
            if "image" in item:
                assert following["text"].startswith(captions.pop(0)), number
        assert not captions


def test_sources_and_pages_of_the_truth_name_each_other(truth):
    named = {item["image"] for page in truth["pages"].values() for item in page["items"] if "image" in item}
    assert named == {key.removeprefix("m3w/") for key in truth["images"] if key.startswith("m3w/")}
    noise = {path for page in truth["pages"].values() for path in page["noise_images"]}
    assert noise == {key.removeprefix("m3w/") for key in truth["noise_images"] if key.startswith("m3w/")}
    assert not noise & named


def test_noise_is_what_its_reason_says(web, truth):
    seen = collections.Counter()
    for key, reason in truth["noise_images"].items():
        dataset, path = key.split("/", 1)
        file = web / {"m3w": "site", "pairs": "pairs"}[dataset] / path
        seen[reason] += 1
        if "://" in path:
            assert reason == "one-pixel tracker"
        elif reason == "broken link":
            assert not file.exists()
        elif reason == "truncated":
            with pytest.raises(OSError, match=r"truncated|broken"):
                Image.open(file).load()
        elif reason == "no caption":
            assert file.exists() and not file.with_suffix(".txt").exists()
        else:
            with Image.open(file) as image:
                if reason == "single colour":
                    assert len(image.getcolors()) == 1 and min(image.size) >= 64
                else:
                    assert image.size in {"banner": [(728, 90)], "one-pixel tracker": [(1, 1)]}.get(
                        reason, [(48, 48), (24, 24)]
                    )
    assert {"truncated", "broken link", "banner", "one-pixel tracker", "icon", "no caption"} <= set(seen)


def test_single_colour_placeholders_occur_on_some_pages():
    blocks = [block for number in range(100) for block in compose_page(0, number).blocks]
    assert any(getattr(block, "reason", "") == "single colour" for block in blocks)


def test_odd_pages(web, truth):
    site, pages = web / "site", truth["pages"]
    for path, declared in (("pages/0003.html", b"iso-8859-1"), ("pages/0005.html", b"utf-8")):
        content = (site / path).read_bytes()
        assert b'<meta charset="%s">' % declared in content
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")
        assert "château" in content.decode(pages[path]["encoding"])
    assert (site / "pages/0009.html").read_bytes() == b""
    drops = {path: page["drop"] for path, page in pages.items() if page["drop"]}
    assert drops == {"pages/0007.html": "no images", "pages/0009.html": "empty", "index.html": "no images"}
    assert not any("image" in item for path in drops for item in pages[path]["items"])


def test_links_of_the_index_lead_to_pages(web):
    links = re.findall(r'href="(pages/[^"]+)"', (web / "site/index.html").read_text())
    assert len(links) == SETTINGS.pages - 1  # all but the empty one
    assert all((web / "site" / link).exists() for link in links)


def repeated_share(tokens: list[str], n: int) -> float:
    """Share of characters inside n-grams that occur more than once."""
    grams = collections.Counter(zip(*(tokens[i:] for i in range(n)), strict=False))
    repeated = sum((count - 1) * sum(map(len, gram)) for gram, count in grams.items() if count > 1)
    return repeated / sum(map(len, tokens))


def test_content_pages_read_like_english_to_the_usual_quality_rules():
    stop_words = {"the", "be", "to", "of", "and", "that", "have", "with"}
    for number in range(300):
        page = compose_page(1, number)
        if page.drop:
            continue
        lines = [item["text"] for item in page.items() if "text" in item]
        tokens = " ".join(lines).split()
        assert len(tokens) >= 50, number
        assert 3 <= np.mean([len(token) for token in tokens]) <= 10, number
        assert len(stop_words & {token.lower() for token in tokens}) >= 2, number
        assert len(set(lines)) == len(lines), number
        for n, cap in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10)):
            assert repeated_share(tokens, n) <= cap, (number, n)
        for n, cap in ((2, 0.20), (3, 0.18), (4, 0.16)):
            gram, count = collections.Counter(zip(*(tokens[i:] for i in range(n)), strict=False)).most_common(1)[0]
            assert count * sum(map(len, gram)) / sum(map(len, tokens)) <= cap, (number, n)


def test_attributes_are_uniform_and_pages_hold_three_pictures_on_average():
    rng = np.random.default_rng(0)
    drawn = [Attributes.sample(rng).to_dict() for _ in range(6000)]
    for name, vocabulary in VOCABULARIES.items():
        counts = collections.Counter(attributes[name] for attributes in drawn)
        assert set(counts) == set(vocabulary)
        assert all(abs(count * len(vocabulary) / 6000 - 1) < 0.15 for count in counts.values()), counts
    numbers = [len(page.pictures) for page in (compose_page(0, n) for n in range(400)) if not page.drop]
    assert set(numbers) == {1, 2, 3, 4}
    assert 2.8 <= np.mean(numbers) <= 3.1
    assert len(ALL_WORDS) == sum(map(len, VOCABULARIES.values()))  # disjoint


def test_a_scene_is_a_coloured_shape_inside_a_grey_pattern():
    for number in range(150):
        rng = np.random.default_rng(number)
        attributes = Attributes.sample(rng)
        scene = sample_scene(rng, attributes, size=sample_size(rng))
        pixels = np.asarray(draw(scene)).astype(int)
        assert pixels.shape == (scene.height, scene.width, 3)
        x, y = (round(v) for v in scene.centre)
        assert tuple(pixels[y, x]) == scene.fill
        chroma = np.ptp(pixels, axis=-1)
        border = np.concatenate([chroma[0], chroma[-1], chroma[:, 0], chroma[:, -1]])
        assert border.max() <= 10, "the shape lies inside the picture"
        assert chroma[y, x] > 60
        share = (chroma > 60).mean() * scene.width * scene.height / min(scene.width, scene.height) ** 2
        assert 0.05 < share < 0.5, (number, share)
        background = np.asarray(draw_background(scene)).astype(int)
        assert np.ptp(background, axis=-1).max() <= 10
        assert (background.std() > 15) == (attributes.background != "plain")


@pytest.mark.parametrize("name", ["shape", "background"])
def test_words_of_a_vocabulary_look_different(name):
    pictures = []
    for word in VOCABULARIES[name]:
        attributes = Attributes(**{"colour": "red", "shape": "circle", "background": "plain"} | {name: word})
        scene = sample_scene(np.random.default_rng(5), attributes, size=(200, 200))
        pictures.append(np.asarray(draw(scene)).astype(float))
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 4  # of 255


def test_pairs_have_their_caption_in_the_first_line(web, truth):
    keys = [key.removeprefix("pairs/") for key in truth["images"] if key.startswith("pairs/")]
    assert len(keys) == SETTINGS.pairs
    texts = [(web / "pairs" / key).with_suffix(".txt").read_text().splitlines() for key in keys]
    assert [lines[0] for lines in texts] == [truth["images"][f"pairs/{key}"]["caption"] for key in keys]
    assert {len(lines) for lines in texts} == {1, 2}


def test_clips_show_the_movement_of_their_caption(web, truth):
    entries = json.loads((web / "clips/clips.json").read_text())
    assert len(entries) == SETTINGS.clips
    assert sum(entry["start"] > 0 for entry in entries) == 1  # two clips in one file
    for entry in entries:
        known = truth["images"][f"clips/{entry['file']}#t={entry['start']},{entry['end']}"]
        assert entry["caption"] == known["caption"] and known["movement"] in entry["caption"]
        with av.open(str(web / "clips" / entry["file"])) as container:
            decoded = [frame for frame in container.decode(video=0) if entry["start"] <= frame.time < entry["end"]]
        seconds = entry["end"] - entry["start"]
        assert 4 <= seconds <= 6 and len(decoded) == 5 * seconds
        masks = [
            np.ptp(frame.to_ndarray(format="rgb24").astype(int), axis=-1) > 60 for frame in (decoded[0], decoded[-1])
        ]
        (y0, x0), (y1, x1) = (np.argwhere(mask).mean(axis=0) for mask in masks)
        growth = masks[1].sum() / masks[0].sum()
        match known["movement"]:
            case "moves from left to right":
                assert x1 > x0 + 30 and abs(y1 - y0) < 5
            case "moves from right to left":
                assert x1 < x0 - 30 and abs(y1 - y0) < 5
            case "falls from top to bottom":
                assert y1 > y0 + 30 and abs(x1 - x0) < 5
            case "rises from bottom to top":
                assert y1 < y0 - 30 and abs(x1 - x0) < 5
            case "grows larger":
                assert growth > 2
            case "becomes smaller":
                assert growth < 0.5


def test_the_command_line_writes_once_and_refuses_to_mix(tmp_path, capsys):
    arguments = ["--output", str(tmp_path / "web"), "--pages", "2", "--pairs", "1", "--clips", "1"]
    assert __main__.main(arguments) == 0
    assert "wrote 2 pages, 1 pairs, 1 clips" in capsys.readouterr().out
    before = tree(tmp_path)
    assert __main__.main(arguments) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert __main__.main([*arguments, "--seed", "1"]) == 1
    assert "made with other settings (seed 0 there and 1 here)" in capsys.readouterr().err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{"])
def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys, content):
    (tmp_path / "settings.json").write_bytes(content)
    assert __main__.main(["--output", str(tmp_path), "--pages", "1"]) == 1
    assert "is no embedded web" in capsys.readouterr().err
    assert tree(tmp_path) == {"settings.json": content}


def test_bad_arguments_are_one_clear_error(tmp_path, capsys):
    assert __main__.main(["--output", str(tmp_path / "web"), "--pairs", "-1"]) == 1
    assert "pairs is -1; it must be at least 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        __main__.main(["--output", "gs://bucket/web"])
    assert "local folder" in capsys.readouterr().err


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_space(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(generation, "write_clips", no_space)
    with pytest.raises(OSError, match="No space"):
        generate(tmp_path / "web", Settings(pages=1, pairs=1, clips=1), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled(tmp_path):
    assert generate(tmp_path, Settings(pages=1, pairs=0, clips=0), progress=False)
    assert json.loads((tmp_path / "clips/clips.json").read_text()) == []
    assert Image.open(io.BytesIO((tmp_path / "site/assets/logo.png").read_bytes())).size == (48, 48)
