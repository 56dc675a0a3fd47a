"""MMC4: where images are placed, where they are found, and what is counted."""

import base64
import itertools
import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.formats import mmc4
from data_pipelines.formats.mmc4 import Mmc4Config
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Link, Medium, Reference
from flamingo_jax.data.document import Text
from tests.data_pipelines.fixtures_mmc4 import embed, info, lines, record, write_tar, write_zip
from tests.data_pipelines.fixtures_results import sort, span
from tests.data_pipelines.fixtures_tars import JPEG, special, tar_bytes

NAME = "docs_no_face_shard_0_v3.jsonl"


def read(folder, config=Mmc4Config()):  # noqa: B008
    shards = mmc4.shards(str(folder), config)
    return sort(itertools.chain.from_iterable(mmc4.read(shard, config) for shard in shards))


def read_one(folder, document, **config):
    """(the items of one document, drops)."""
    (folder / NAME).write_bytes(lines([document]))
    documents, drops = read(folder / NAME, Mmc4Config(**config))
    return documents.get(f"{NAME}/1"), drops


def link(number: int) -> Link:
    return Link("image", (f"http://example.org/pictures/{number}.jpg",))


def test_images_stand_before_their_sentences(tmp_path):
    images = [info(1, 3), info(2, 0), info(3, 3), info(4, 1, 0.24)]
    write_zip(
        tmp_path / "data" / f"{NAME}.zip", lines([record(["One.", "Two. ", " Three.", "Four.", "Five."], images)])
    )
    documents, drops = read(tmp_path / "data")
    assert drops == {}
    assert documents == {
        f"{NAME}.zip/1": (
            link(2),
            Text("One."),
            link(4),
            Text("Two. Three."),
            link(1),
            link(3),
            Text("Four. Five."),
        )
    }


def test_placed_as_openflamingo_places_them(tmp_path):
    """Its training puts "<image>" before each matched sentence and joins by spaces."""
    sentences = [f"S{number}." for number in range(7)]
    images = [info(number, sentence) for number, sentence in enumerate([5, 0, 2, 2, 6])]
    items, _ = read_one(tmp_path, record(sentences, images))
    tagged = list(sentences)
    for image in images:
        tagged[image["matched_text_index"]] = "<image>" + tagged[image["matched_text_index"]]
    flat = " ".join(item.text if isinstance(item, Text) else "<image>" for item in items)
    assert flat.replace("<image> ", "<image>") == " ".join(tagged)


ODD_IMAGES = {
    "index too large": (info(9, 2), "image_without_sentence"),
    "index negative": (info(9, -1), "image_without_sentence"),
    "index a string": (info(9, "0"), "image_without_sentence"),
    "index true": (info(9, True), "image_without_sentence"),
    "index missing": ({"raw_url": "http://example.org/a.jpg", "matched_sim": 0.3}, "image_without_sentence"),
    "unlike": (info(9, 0, 0.2399), "image_similarity_too_low"),
    "unlike, as a string": (info(9, 0, "0.1"), "image_similarity_too_low"),
    "not a number": (info(9, 0, math.nan), "image_similarity_unknown"),
    "infinite": (info(9, 0, math.inf), "image_similarity_unknown"),
    "null": (info(9, 0, None), "image_similarity_unknown"),
    "a word": (info(9, 0, "high"), "image_similarity_unknown"),
    "beyond floats": (info(9, 0, 10**400), "image_similarity_unknown"),
    "true": (info(9, 0, True), "image_similarity_unknown"),
    "no entry": (None, "image_info_invalid"),
    "a list": ([1], "image_info_invalid"),
    "no address": (info(9, 0, raw_url=None), "image_not_on_the_web"),
    "an address of a file": (info(9, 0, raw_url="file:///etc/passwd"), "image_not_on_the_web"),
    "a broken address": (info(9, 0, raw_url="http://[/a.jpg"), "image_not_on_the_web"),
}


@pytest.mark.parametrize("name", ODD_IMAGES)
def test_odd_images_are_counted(tmp_path, name):
    odd, rule = ODD_IMAGES[name]
    items, drops = read_one(tmp_path, record(["One.", "Two."], [odd, info(1, 1)]))
    assert items == (Text("One."), link(1), Text("Two."))
    assert drops == {(rule, "image"): 1}


def test_similarities_as_strings_count(tmp_path):
    items, drops = read_one(tmp_path, record(["One."], [info(1, 0, "0.31")]))
    assert (items, drops) == ((link(1), Text("One.")), {})


ODD_DOCUMENTS = {
    "no list": (record(None, [info(1, 0)]), {("list_missing", "document"): 1}),
    "no images": (record(["One."], None), {("list_missing", "document"): 1}),
    "empty": ({}, {("list_missing", "document"): 1}),
    "no sentence": (
        record([], [info(1, 0)]),
        {("image_without_sentence", "image"): 1, ("document_without_images", "document"): 1},
    ),
    "no image": (record(["One."], []), {("document_without_images", "document"): 1}),
    "null sentences": (
        record([None, " ", 7], [info(1, 1)]),
        {
            ("text_null", "paragraph"): 1,
            ("text_empty", "paragraph"): 1,
            ("text_not_a_string", "paragraph"): 1,
            ("document_without_text", "document"): 1,
        },
    ),
    "not JSON": (b'{"text_list": [', {("record_not_json", "document"): 1}),
    "not an object": (b"[1, 2]", {("record_not_an_object", "document"): 1}),
}


@pytest.mark.parametrize("name", ODD_DOCUMENTS)
@pytest.mark.parametrize("layout", ["jsonl", "zip", "tar"])
def test_odd_documents_are_counted_and_lose_no_others(tmp_path, name, layout):
    odd, expected = ODD_DOCUMENTS[name]
    good = embed(record(["One."], [info(1, 0)]))
    if layout == "tar" and isinstance(odd, dict) and odd.get("image_info"):
        odd = embed(odd)
    records = [good, odd, good]
    if layout == "tar":
        write_tar(tmp_path / "000000000.tar", records)
    elif layout == "zip":
        write_zip(tmp_path / f"{NAME}.zip", lines(records))
    else:
        (tmp_path / NAME).write_bytes(lines(records))
    documents, drops = read(tmp_path)
    assert len(documents) == 2
    assert drops == expected


def test_an_image_of_a_null_sentence_keeps_its_place(tmp_path):
    items, drops = read_one(tmp_path, record(["One.", None, "Three."], [info(1, 1)]))
    assert (items, drops) == ((Text("One."), link(1), Text("Three.")), {("text_null", "paragraph"): 1})


def test_limit_of_images(tmp_path):
    document = record(["One.", "Two.", "Three."], [info(1, 2), info(2, 0), info(3, 1)])
    items, drops = read_one(tmp_path, document, max_images=2)
    assert items == (link(2), Text("One."), link(3), Text("Two. Three."))
    assert drops == {("image_over_limit", "image"): 1}


@pytest.mark.parametrize("folder", ["", "docs_no_face_shard_0_v3_images", "docs_no_face_shard_0_v3.jsonl_images"])
def test_images_in_a_folder(tmp_path, folder):
    images = tmp_path / "images"
    (images / folder).mkdir(parents=True)
    (images / folder / info(1, 0)["image_name"]).write_bytes(JPEG)
    items, drops = read_one(tmp_path, record(["One."], [info(1, 0), info(2, 0)]), images_folder=str(images))
    reference = Reference(str(images / folder / "000000000001.jpg").replace("//", "/"))
    assert items == (Medium("image", "http://example.org/pictures/1.jpg", reference), Text("One."))
    assert drops == {("image_missing", "image"): 1}


def test_images_outside_the_folder_are_refused(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (images / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    outside = ["../secret.jpg", str(tmp_path / "secret.jpg"), "a/../../secret.jpg", "..\\secret.jpg", "link.jpg", ".."]
    missing = ["", ".", "a\0b", "x" * 5000, "\ud800.jpg", None, 7]
    entries = [info(number, 0, image_name=name) for number, name in enumerate([*outside, *missing])]
    items, drops = read_one(tmp_path, record(["One."], entries), images_folder=str(images))
    assert items is None
    assert drops == {
        ("image_outside_input", "image"): len(outside),
        ("image_missing", "image"): len(missing),
        ("document_without_images", "document"): 1,
    }


def test_a_missing_folder_of_images_is_an_error(tmp_path):
    (tmp_path / NAME).write_bytes(lines([]))
    with pytest.raises(BuildError, match="nowhere is no folder"):
        read(tmp_path, Mmc4Config(images_folder=str(tmp_path / "nowhere")))


def test_tars_of_openflamingo(tmp_path):
    document = embed(record(["One.", "Two."], [info(1, 1), info(2, 0), info(3, 0)]))
    document["image_info"][1]["image_base64"] = base64.b64encode(b"second").decode()
    del document["image_info"][2]["image_base64"]  # was not found when the tar was made
    write_tar(tmp_path / "000000000.tar", [document, embed(record(["Three."], [info(4, 0)]))])
    documents, drops = read(tmp_path)
    assert drops == {("image_missing", "image"): 1}
    assert list(documents) == [f"000000000.tar/{number:032x}.json" for number in (0, 1)]
    second, text, first, _ = documents["000000000.tar/" + "0" * 32 + ".json"]
    assert text == Text("One.")
    assert second.reference.form == "json_base64" and second.reference.place == "image_info/1/image_base64"
    for medium, content in ((second, b"second"), (first, JPEG)):
        value = json.loads(span(medium.reference))
        for step in medium.reference.place.split("/"):
            value = value[int(step) if isinstance(value, list) else step]
        assert base64.b64decode(value, validate=True) == content


def test_odd_members_of_tars(tmp_path):
    good = json.dumps(embed(record(["One."], [info(1, 0)]))).encode()
    members = [("empty.json", b""), special("link.json", b"2", "good.json"), ("other.txt", b"x"), ("good.json", good)]
    (tmp_path / "000000000.tar").write_bytes(tar_bytes(members))
    documents, drops = read(tmp_path)
    assert list(documents) == ["000000000.tar/good.json"]
    assert drops == {("record_empty", "document"): 1, ("member_not_a_file", "document"): 1}


@pytest.mark.parametrize("layout", ["jsonl", "zip", "tar"])
@given(share=st.floats(0.02, 0.97))
@settings(deadline=None, max_examples=20)
def test_a_cut_shard_gives_all_before_and_one_drop(tmp_path_factory, layout, share):
    folder = tmp_path_factory.mktemp("cut")
    records = [embed(record([f"Sentence {number}." * 9], [info(number, 0)])) for number in range(12)]
    content = lines(records)
    if layout == "tar":
        shard = write_tar(folder / "000000000.tar", records)
    elif layout == "zip":
        shard = write_zip(folder / f"{NAME}.zip", content)
    else:
        shard = folder / NAME
        shard.write_bytes(content)
    whole = list(read(shard)[0].values())
    cut = int(share * len(shard.read_bytes().rstrip(b"\0")))  # of a tar the end mark may as well be missing
    shard.write_bytes(shard.read_bytes()[:cut])
    documents, drops = read(shard)
    found = list(documents.values())
    assert len(whole) == 12 and found == whole[: len(found)]
    if layout == "jsonl":  # one that ends with a line, or just before the line's end, cannot be told from a whole one
        assert len(found) == content[: cut + 1].count(b"\n")
        assert drops == ({("shard_truncated", "document"): 1} if b"\n" not in content[cut - 1 : cut + 1] else {})
    else:
        assert drops == {("shard_truncated", "document"): 1}


def test_a_cut_zip_gives_the_documents_before_the_cut(tmp_path):
    words = [record([" ".join(random.Random(n).choices("abcdefgh", k=4000))], [info(n, 0)]) for n in range(40)]
    shard = write_zip(tmp_path / f"{NAME}.zip", lines(words))
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    documents, drops = read(shard)
    assert 18 <= len(documents) <= 21 and drops == {("shard_truncated", "document"): 1}


def test_input_that_is_not_mmc4(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(BuildError, match=r"has no shard of MMC4: no file ends in \.jsonl"):
        mmc4.shards(str(tmp_path), Mmc4Config())
    (tmp_path / "0.tar.gz").write_bytes(b"x")
    with pytest.raises(BuildError, match="compressed tars"):
        mmc4.shards(str(tmp_path), Mmc4Config())


KEYS = st.sampled_from(["text_list", "image_info", "matched_text_index", "matched_sim", "raw_url", "image_base64", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-3, 3) | st.text(max_size=5) | st.just("http://e.org/a.jpg"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=15,
)


@pytest.mark.parametrize("layout", ["jsonl", "tar"])
@given(st.lists(JSON | st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=5))
@settings(deadline=None, max_examples=60)
def test_arbitrary_json_never_raises(tmp_path_factory, layout, values):
    shard = tmp_path_factory.mktemp("json") / ("s.tar" if layout == "tar" else "s.jsonl")
    values = [{}, *values]  # a file that begins with a compression's magic number is taken for compressed
    if layout == "tar":
        write_tar(shard, values)
    else:
        shard.write_bytes(lines(values))
    documents, drops = read(shard)
    blank = sum(isinstance(value, bytes) and not value.strip() for value in values) if layout == "jsonl" else 0
    assert (
        len(documents) + sum(count for (_, unit), count in drops.items() if unit == "document") == len(values) - blank
    )
