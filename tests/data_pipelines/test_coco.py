"""Captioned images as COCO and Karpathy list them: what becomes a pair, and what is counted instead."""

import collections
import gzip
import json

import pytest

from data_pipelines.formats import coco
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Reference
from flamingo_jax.data.document import Text


def read(root, config=None):
    """({key: (caption, source, path)}, {rule: count}, the drops) of all lists of an input."""
    config = config or coco.CocoConfig()
    found = [one for shard in coco.shards(str(root), config) for one in coco.read(shard, config)]
    drops = [one for one in found if isinstance(one, Drop)]
    pairs = {}
    for sketch in found:
        if not isinstance(sketch, Drop):
            image, text = sketch.items
            assert (
                image.kind == "image" and image.reference == Reference(image.reference.path) and text == Text(text.text)
            )
            assert sketch.key not in pairs
            pairs[sketch.key] = (text.text, image.source, image.reference.path)
    counts = collections.Counter()
    for drop in drops:
        counts[drop.rule, drop.unit] += drop.count
    return pairs, dict(counts), drops


def write(path, value, files=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    for name in files:
        file = path.parent / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"an image")
    return path


def image(number, file, **more):
    return {"id": number, "file_name": file, "height": 480, "width": 640, "coco_url": f"http://x/{file}", **more}


def caption(number, of, text):
    return {"id": number, "image_id": of, "caption": text}


def test_coco(tmp_path):
    listing = {
        "info": {"year": 2014},
        "images": [image(9, "COCO_train2014_9.jpg"), image(5, "COCO_train2014_5.jpg")],
        "licenses": [{"id": 1}],
        "annotations": [
            caption(48, 9, "A very clean bathroom. "),
            caption(51, 5, "Two\n people\tride."),
            caption(126, 9, "A tub."),
        ],
    }
    write(tmp_path / "annotations/captions_train2014.json", listing)
    write(tmp_path / "annotations/instances_train2014.json", "not read")
    for number in (5, 9):
        write(tmp_path / f"train2014/COCO_train2014_{number}.jpg", "an image")
    images = tmp_path / "train2014"
    pairs, drops, _ = read(tmp_path / "annotations", coco.CocoConfig(images=str(images)))
    nine, five = "COCO_train2014_9.jpg", "COCO_train2014_5.jpg"
    assert pairs == {
        f"{nine}#48": ("A very clean bathroom.", nine, f"{images}/{nine}"),
        f"{five}#51": ("Two people ride.", five, f"{images}/{five}"),
        f"{nine}#126": ("A tub.", nine, f"{images}/{nine}"),
    }
    assert drops == {}
    pairs, drops, _ = read(tmp_path / "annotations", coco.CocoConfig(images=str(images), captions="first"))
    assert {key: text for key, (text, *_) in pairs.items()} == {
        nine: "A very clean bathroom.",
        five: "Two people ride.",
    }
    assert drops == {("caption_not_first", "pair"): 1}


def karpathy(name, split, texts, folder="val2014", **more):
    sentences = [{"raw": text, "sentid": number, "tokens": []} for number, text in texts.items()]
    return {"filename": name, "filepath": folder, "split": split, "cocoid": 1, "sentences": sentences, **more}


def test_karpathy(tmp_path):
    images = [
        karpathy("a.jpg", "train", {770337: "A man.", 771687: "Someone."}, "train2014"),
        karpathy("b.jpg", "restval", {3: "A field."}),
        karpathy("c.jpg", "test", {4: "Secret.", 5: "More."}),
        karpathy("d.jpg", "val", {6: "Secret."}),
        karpathy("e.jpg", "train", {}),
        {"filename": 7, "sentences": []},
        {"filename": "f.jpg", "split": "train", "sentences": [{"raw": "Flickr."}, {"raw": "Has ids."}, "no object"]},
    ]
    listing = write(
        tmp_path / "dataset_coco.json",
        {"images": images, "dataset": "coco"},
        ["train2014/a.jpg", "val2014/b.jpg", "f.jpg"],
    )
    pairs, drops, _ = read(listing)
    assert {key: text for key, (text, *_) in pairs.items()} == {
        "train2014/a.jpg#770337": "A man.",
        "train2014/a.jpg#771687": "Someone.",
        "val2014/b.jpg#3": "A field.",
        "f.jpg#0": "Flickr.",
        "f.jpg#1": "Has ids.",
    }
    assert pairs["val2014/b.jpg#3"][1:] == ("val2014/b.jpg", str(tmp_path / "val2014/b.jpg"))
    assert drops == {
        ("split_left_out", "pair"): 3,
        ("caption_missing", "image"): 1,
        ("image_malformed", "image"): 1,
        ("caption_null", "pair"): 1,
    }
    everything, drops, _ = read(listing, coco.CocoConfig(splits=()))
    assert everything == pairs
    assert drops[("image_missing", "pair")] == 3 and ("split_left_out", "pair") not in drops


def test_odd_records_of_coco(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"an image")
    images = [
        image(1, "ok.jpg"),
        image(2, "gone.jpg"),
        image(3, "../secret.jpg"),
        image(4, str(tmp_path / "secret.jpg")),
        image(5, "link.jpg"),
        image(6, "one.jpg"),
        image(6, "two.jpg"),
        image(7, "ok.jpg"),
        image(7, "ok.jpg"),
        image(8, "without.jpg"),
        image(True, "x.jpg"),
        image(9, None),
        image(10, "folder"),
        image(11, "caf\u00e9\ud800.jpg"),
        image(12, str(tmp_path / "in/absolute.jpg")),
        "no object",
    ]
    annotations = [
        caption(1, 1, "First."),
        caption(1, 1, "Same id."),
        caption(2, 2, "Gone."),
        caption(3, 3, "Traversal."),
        caption(4, 4, "Absolute."),
        caption(5, 5, "A link out."),
        caption(6, 6, "Of which?"),
        caption(7, 7, "Listed twice, the same."),
        caption(8, 99, "Of nothing."),
        caption(9, 1, None),
        caption(10, 1, " \n"),
        caption(11, 1, 5),
        caption(None, 1, "Without id."),
        caption([1], 1, "A list as id."),
        {"id": 12, "caption": "Without image."},
        caption(13, 10, "A folder."),
        caption(14, 11, "No such name."),
        caption(15, 1, "Half a \ud83d pair."),
        caption(16, 12, "Absolute, but inside."),
        caption("a\ud800", 1, "An id that is no text."),
        None,
    ]
    root = tmp_path / "in"
    listing = write(
        root / "list.json", {"annotations": annotations, "images": images}, ["ok.jpg", "one.jpg", "two.jpg"]
    )
    write(root / "folder/x.jpg", "an image")
    write(root / "absolute.jpg", "an image")
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    pairs, drops, every = read(listing)
    assert {key: text for key, (text, *_) in pairs.items()} == {
        "ok.jpg#1": "First.",
        "ok.jpg#7": "Listed twice, the same.",
        "ok.jpg#15": "Half a \ufffd pair.",
        "absolute.jpg#16": "Absolute, but inside.",
    }
    assert drops == {
        ("caption_repeated", "pair"): 1,
        ("image_missing", "pair"): 3,
        ("image_outside_input", "pair"): 3,
        ("image_ambiguous", "pair"): 1,
        ("image_unknown", "pair"): 1,
        ("caption_null", "pair"): 1,
        ("caption_empty", "pair"): 1,
        ("caption_not_a_string", "pair"): 1,
        ("caption_malformed", "pair"): 5,
        ("caption_missing", "image"): 1,
        ("image_malformed", "image"): 3,
    }
    assert all(drop.example for drop in every)
    for drop in every:
        drop.example.encode()


def test_bytes_that_are_not_utf8(tmp_path):
    text = json.dumps(
        {"images": [image(1, "a.jpg")], "annotations": [caption(1, 1, "Caf\xe9 cr\xe8me.")]}, ensure_ascii=False
    )
    listing = write(tmp_path / "captions_x.json", "", ["a.jpg"])
    listing.write_bytes(text.encode("latin-1"))
    assert read(listing)[0]["a.jpg#1"][0] == "Café crème."
    for encoding in ("utf-16", "utf-8-sig"):
        listing.write_bytes(text.encode(encoding))
        assert read(listing)[0]["a.jpg#1"][0] == "Café crème."


def test_a_compressed_list_and_lists_of_two_folders(tmp_path):
    text = json.dumps({"images": [image(1, "a.jpg")], "annotations": [caption(1, 1, "One.")]})
    for folder in ("x", "y"):
        write(tmp_path / folder / "captions_1.json", text, ["a.jpg"])
    (tmp_path / "x/captions_1.json").unlink()
    (tmp_path / "x/captions_1.json.gz").write_bytes(gzip.compress(text.encode()))
    pairs, drops, _ = read(tmp_path)
    assert sorted(pairs) == ["x/a.jpg#1", "y/a.jpg#1"] and drops == {}
    assert pairs["x/a.jpg#1"][1:] == ("x/a.jpg", str(tmp_path / "x/a.jpg"))


LISTING = json.dumps({"images": [image(1, "a.jpg")], "annotations": [caption(1, 1, "One."), caption(2, 1, "Two.")]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("hello", "is not JSON from character 0"),
        (LISTING[:-40], "is the file cut off"),
        (LISTING[: len(LISTING) // 2], "is the file cut off"),
        (LISTING[:-1], "the file ends here"),
        (LISTING + "{}", "more after the end"),
        ("[1, 2]", "no list of captioned images"),
        ("{}", "no list of captioned images"),
        ('{"annotations": [{"id": 1}]}', "no list of captioned images"),
        ('{"images": []}', "no list of captioned images"),
        ('{"images": ' + "[" * 100_000, "nested too deeply"),
        ('{"images": [' + "9" * 5000 + "]}", "is not JSON from character 12"),
    ],
)
def test_what_is_no_list_is_one_clear_error(tmp_path, text, message):
    listing = write(tmp_path / "captions_x.json", text, ["a.jpg"])
    with pytest.raises(BuildError, match=message) as error:
        read(listing)
    assert str(listing) in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_damaged_compressed_list_is_one_clear_error(tmp_path):
    listing = tmp_path / "captions_x.json.gz"
    listing.write_bytes(gzip.compress(LISTING.encode())[:-30])
    with pytest.raises(BuildError, match="is damaged"):
        read(listing)


def test_inputs_without_a_list(tmp_path):
    with pytest.raises(BuildError, match="does not exist"):
        coco.shards(str(tmp_path / "none"), coco.CocoConfig())
    write(tmp_path / "a.txt", "x")
    with pytest.raises(BuildError, match="has no list of captioned images"):
        coco.shards(str(tmp_path), coco.CocoConfig())
    write(tmp_path / "captions_train2014.json", "x")
    write(tmp_path / "dataset_coco.json", "x")
    with pytest.raises(BuildError, match="the same captions twice"):
        coco.shards(str(tmp_path), coco.CocoConfig())
    assert len(coco.shards(str(tmp_path / "dataset_*.json"), coco.CocoConfig())) == 1


@pytest.mark.parametrize("options", [{"captions": "all"}, {"splits": "train"}])
def test_options_outside_their_range(options):
    with pytest.raises(ValueError, match="must be"):
        coco.CocoConfig(**options)
