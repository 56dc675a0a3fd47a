"""Captioned images in tars and folders: what becomes a document, and what is counted."""

import collections
import io
import itertools
import json
import os
import re
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pipelines.formats import webdataset
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Medium, Sketch
from tests.data_pipelines import fixtures_tars as tars
from tests.data_pipelines.fixtures_results import sort, span

CONFIG = webdataset.WebDatasetConfig()
JPEG, PNG, MP4 = tars.JPEG, b"\x89PNG\r\n\x1a\n....", b"\0\0\0\x18ftypmp42...."


def read(folder, config=CONFIG):
    shards = webdataset.shards(str(folder), config)
    return sort(itertools.chain.from_iterable(webdataset.read(shard, config) for shard in shards))


def captions(documents) -> dict[str, str]:
    return {key: items[1].text for key, items in documents.items()}


def test_img2dataset_tars(tmp_path):
    tars.write(tmp_path / "00000.tar", tars.sample(0), tars.sample(7, JPEG[::-1], caption="A\n red\tcar "))
    tars.write(tmp_path / "more" / "00001.tar", tars.sample(10_000))
    documents, drops = read(tmp_path)
    assert drops == {}
    assert captions(documents) == {
        "00000.tar/000000000": "Caption 0",
        "00000.tar/000000007": "A red car",
        "more/00001.tar/000010000": "Caption 10000",
    }
    medium = documents["00000.tar/000000007"][0]
    assert (medium.kind, medium.source) == ("image", "https://example.org/7.jpg?w=640")
    assert medium.reference.path == f"{tmp_path}/00000.tar" and medium.reference.form == "span"
    assert span(medium.reference) == JPEG[::-1]


def test_keys_stay_when_the_corpus_moves_or_is_named_otherwise(tmp_path):
    tars.write(tmp_path / "a" / "x" / "00000.tar", tars.sample(0))
    tars.write(tmp_path / "b" / "x" / "00000.tar", tars.sample(0))
    keys = [list(read(root)[0]) for root in (tmp_path / "a", tmp_path / "b", tmp_path / "a" / "*")]
    assert keys == [["x/00000.tar/000000000"]] * 3
    assert list(read(tmp_path / "a" / "x" / "00000.tar")[0]) == ["00000.tar/000000000"]


def test_the_same_key_in_two_shards_is_two_pairs(tmp_path):
    for name in ("00000.tar", "00001.tar", "deeper/00000.tar"):
        tars.write(tmp_path / name, tars.sample(0))
    assert len(read(tmp_path)[0]) == 3


ODD = {
    "no caption": ({"jpg": JPEG, "json": b"{}"}, {("caption_missing", "pair"): 1}),
    "an image alone": ({"jpg": JPEG}, {("caption_missing", "pair"): 1}),
    "a caption alone": ({"txt": b"Caption"}, {("image_missing", "pair"): 1}),
    "another file alone": ({"npy": b"0"}, {("image_missing", "pair"): 1}),
    "null": ({"jpg": JPEG, "json": b'{"caption": null}'}, {("caption_null", "pair"): 1}),
    "a list": ({"jpg": JPEG, "json": b'{"caption": ["a"]}'}, {("caption_not_a_string", "pair"): 1}),
    "blank": ({"jpg": JPEG, "txt": b" \n\xef\xbb\xbf"}, {("caption_empty", "pair"): 1}),
    "not UTF-8": ({"jpg": JPEG, "txt": "Café".encode("latin-1")}, {("caption_undecodable", "pair"): 1}),
    "JSON not UTF-8": ({"jpg": JPEG, "json": b'{"caption": "\xff"}'}, {("caption_undecodable", "pair"): 1}),
    "JSON cut": ({"jpg": JPEG, "json": b'{"caption": "a'}, {("caption_undecodable", "pair"): 1}),
    "JSON of another type": ({"jpg": JPEG, "json": b"[]"}, {("caption_undecodable", "pair"): 1}),
    "JSON deeper than the stack": ({"jpg": JPEG, "json": b"[" * 90_000}, {("caption_undecodable", "pair"): 1}),
    "no bytes": ({"jpg": b"", "txt": b"Caption"}, {("image_empty", "pair"): 1}),
    "a giant caption": ({"jpg": JPEG, "txt": b"a" * ((1 << 24) + 1)}, {("caption_too_many_bytes", "pair"): 1}),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("layout", ["webdataset", "files"])
def test_odd_pairs_are_counted_and_lose_no_others(tmp_path, name, layout):
    files, expected = ODD[name]
    members = [*tars.sample(1), *tars.members("odd", files), *tars.sample(2)]
    if layout == "webdataset":
        tars.write(tmp_path / "00000.tar", members)
    else:
        (tmp_path / "00000").mkdir()
        for member, content in members:
            (tmp_path / "00000" / member).write_bytes(content)
    documents, drops = read(tmp_path)
    assert drops == expected
    assert [key.rpartition("/")[2] for key in documents] == ["000000001", "000000002"]


GOOD = {
    "text wins": ({"jpg": JPEG, "txt": b"Text", "json": b'{"caption": "JSON"}'}, "Text"),
    "JSON without text": ({"webp": JPEG, "json": b'{"caption": "JSON"}'}, "JSON"),
    "text beside broken JSON": ({"png": JPEG, "txt": b"Text", "json": b"{"}, "Text"),
    "with a mark": ({"JPEG": JPEG, "TXT": "\ufeffText".encode()}, "Text"),
    "a lone surrogate": ({"jpg": JPEG, "json": rb'{"caption": "a\ud800b"}'}, "a\ufffdb"),
    "other files": ({"jpg": JPEG, "txt": b"Text", "cls": b"7", "npy": b"0", "json": b"{}"}, "Text"),
}


@pytest.mark.parametrize("name", GOOD)
def test_captions_are_found(tmp_path, name):
    files, expected = GOOD[name]
    tars.write(tmp_path / "00000.tar", tars.members("good", files))
    documents, drops = read(tmp_path)
    assert (captions(documents), drops) == ({"00000.tar/good": expected}, {})
    assert expected.encode()


def test_the_key_of_the_caption_can_be_named(tmp_path):
    files = {"jpg": JPEG, "txt": b"Alt text", "json": b'{"caption": "Alt text", "recaption": "A synthetic one"}'}
    tars.write(tmp_path / "00000.tar", tars.members("a", files), tars.sample(1))
    documents, drops = read(tmp_path, webdataset.WebDatasetConfig(caption_key="recaption"))
    assert captions(documents) == {"00000.tar/a": "A synthetic one"}
    assert drops == {("caption_missing", "pair"): 1}


def test_clips(tmp_path):
    tars.write(tmp_path / "clips.tar", tars.members("a", {"mp4": MP4, "txt": b"A clip", "jpg": b"poster"}))
    members = [
        *tars.members("b", {"MP4": MP4, "txt": b"B"}),
        *tars.members("c", {"2.webm": b"2", "mov": MP4, "txt": b"C"}),
    ]
    tars.write(tmp_path / "clips.tar", [*members, *tars.members("d", {"mp4": MP4, "txt": b"D", "jpg": b"poster"})])
    documents, drops = read(tmp_path)
    assert captions(documents) == {"clips.tar/b": "B", "clips.tar/c": "C", "clips.tar/d": "D"}
    for key, (medium, _) in documents.items():
        assert (medium.kind, medium.source, span(medium.reference)) == ("video", key, MP4)
    assert drops == {("medium_beside_another", "clip"): 1, ("medium_beside_another", "image"): 1}


def test_of_two_images_the_plain_one_is_kept(tmp_path):
    files = {"depth.png": b"depth", "jpg": JPEG, "thumb.jpg": b"thumb", "txt": b"Text"}
    tars.write(tmp_path / "00000.tar", tars.members("a", files))
    documents, drops = read(tmp_path)
    assert span(documents["00000.tar/a"][0].reference) == JPEG
    assert drops == {("medium_beside_another", "image"): 2}


def test_a_key_that_comes_twice_is_kept_once(tmp_path):
    tars.write(tmp_path / "00000.tar", tars.sample(1), tars.sample(1), tars.sample(2), tars.sample(1))
    documents, drops = read(tmp_path)
    assert list(documents) == ["00000.tar/000000001", "00000.tar/000000002"]
    assert drops == {("key_repeated", "pair"): 2}


def test_files_of_a_sample_that_are_not_neighbours_are_not_joined(tmp_path):
    members = [(f"{key}.{ending}", b"x") for ending in ("jpg", "txt") for key in "ab"]
    tars.write(tmp_path / "00000.tar", members)
    assert read(tmp_path) == ({}, {("caption_missing", "pair"): 2, ("image_missing", "pair"): 2})


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    names = [str(tmp_path / "secret"), "../secret", "./a/./b", "dots.in/folder.names/c"]
    members = [tars.members(name, {"jpg": JPEG, "txt": b"Text"}) for name in names]
    tars.write(tmp_path / "in" / "00000.tar", *members)
    documents, drops = read(tmp_path / "in")
    assert drops == {} and list(documents) == [f"00000.tar/{name.removeprefix('./')}" for name in names]
    assert all(span(items[0].reference) == JPEG for items in documents.values())
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["00000.tar", "in", "secret.jpg"]


def test_what_is_no_file_is_dropped_with_its_pair(tmp_path):
    link = tars.special("b.jpg", tarfile.SYMTYPE, "/etc/passwd")
    hard = tars.special("c.jpg", tarfile.LNKTYPE, "000000001.jpg")
    device = tars.special("null", tarfile.CHRTYPE)
    folder = tars.special("folder", tarfile.DIRTYPE)
    members = [folder, *tars.sample(1), link, ("b.txt", b"b"), hard, ("c.txt", b"c"), ("d.jpg", JPEG), device]
    tars.write(tmp_path / "00000.tar", [*members, ("d.txt", b"d")])
    documents, drops = read(tmp_path)
    assert list(documents) == ["00000.tar/000000001", "00000.tar/d"]
    assert drops == {("member_not_a_file", "pair"): 3}


def test_hidden_and_nameless_files_belong_to_no_sample(tmp_path):
    other = [("README", b"x"), ("._000000001.jpg", b"x"), (".DS_Store", b"x"), ("__about__/x.json", b"{}")]
    tars.write(tmp_path / "00000.tar", other, tars.sample(1), [("folder/__meta__/x.jpg", JPEG)])
    documents, drops = read(tmp_path)
    assert list(documents) == ["00000.tar/000000001"]
    assert drops == {("caption_missing", "pair"): 1}  # WebDataset, too, looks for such names at the top alone


@given(cut=st.integers(0, 20_480))
@settings(deadline=None, max_examples=40)
def test_a_cut_tar_gives_all_before_and_one_drop(tmp_path_factory, cut):
    content = tars.tar_bytes(itertools.chain.from_iterable(tars.sample(number) for number in range(4)))
    shard = tmp_path_factory.mktemp("cut") / "00000.tar"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        ends = {info.name: info.offset_data + info.size for info in tar}
    end_mark = -(-max(ends.values()) // 512) * 512
    shard.write_bytes(content[:cut])
    documents, drops = sort(webdataset.read(str(shard), CONFIG))
    # A pair needs its image and a caption, and the JSON, the second of three members, has one.
    complete = [name for name, end in ends.items() if name.endswith(".json") and end <= cut]
    assert list(documents) == [f"00000.tar/{name.removesuffix('.json')}" for name in complete]
    assert drops == ({} if cut >= end_mark + 512 else {("shard_truncated", "pair"): 1})


def test_a_shard_that_is_no_tar_is_one_drop(tmp_path):
    (tmp_path / "00000.tar").write_bytes(b"<html>404 Not Found</html>" * 40)
    (tmp_path / "00001.tar").write_bytes(b"")
    assert read(tmp_path) == ({}, {("shard_damaged", "pair"): 1, ("shard_truncated", "pair"): 1})


def test_compressed_tars_are_refused_with_what_to_do(tmp_path):
    with tarfile.open(tmp_path / "00000.tar.gz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(BuildError, match=r"1 compressed tars, such as 00000.tar.gz.*gunzip"):
        webdataset.shards(str(tmp_path), CONFIG)
    (tmp_path / "00000.tar.gz").rename(tmp_path / "00000.tar")
    assert read(tmp_path) == ({}, {("shard_compressed", "pair"): 1})


def test_folders_of_files(tmp_path):
    for number in (1, 10_002):
        for name, content in tars.sample(number):
            folder = tmp_path / f"{number // 10_000:05d}"
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    (tmp_path / "00000" / "000000001-x.jpg").write_bytes(JPEG)  # sorts between the files of the sample before
    (tmp_path / "00000.parquet").write_bytes(b"about the folder of this name: not read")
    (tmp_path / "00000_stats.json").write_text("{}")
    (tmp_path / "00001" / "000010003.jpg").symlink_to(tmp_path / "nothing")
    (tmp_path / "00001" / "000010004.jpg").mkdir()
    os.mkfifo(tmp_path / "00001" / "000010005.jpg")  # reading it would wait for ever
    documents, drops = read(tmp_path)
    assert captions(documents) == {"00000/000000001": "Caption 1", "00001/000010002": "Caption 10002"}
    assert drops == {("caption_missing", "pair"): 1, ("member_not_a_file", "pair"): 3}
    reference = documents["00000/000000001"][0].reference
    assert (reference.path, reference.form) == (f"{tmp_path}/00000/000000001.jpg", "file")
    assert list(read(tmp_path / "00000")[0]) == ["000000001"]


def test_input_without_pairs(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BuildError, match=r"has no \.tar, no \.parquet and no folder"):
        webdataset.shards(str(tmp_path), CONFIG)


BASE_PLUS_EXT = re.compile(r"^((?:.*/|)[^.]+)[.]([^/]*)$")  # WebDataset's own, as a fact of the format


def by_brute_force(content: bytes) -> list[tuple[str, list[bytes]]]:
    """Samples as WebDataset groups them: (name, contents)."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        files = [(info.name, tar.extractfile(info).read()) for info in tar if info.isreg()]
    matched = [(match[1], data) for name, data in files if (match := BASE_PLUS_EXT.match(name))]
    runs = itertools.groupby(matched, key=lambda file: file[0])
    return [(name, [data for _, data in run]) for name, run in runs]


NAMES = st.tuples(st.sampled_from(["", "a/", "a.b/"]), st.sampled_from(["x", "y", "x-y", "z z"])).map("".join)
ENDINGS = st.lists(st.sampled_from(["jpg", "seg.jpg", "txt", "json", "npy"]), min_size=1, unique=True)


@given(st.lists(st.tuples(NAMES, ENDINGS), max_size=12))
@settings(deadline=None, max_examples=60)
def test_samples_are_those_of_webdataset(tmp_path_factory, samples):
    numbers = itertools.count()
    samples = [(name, list(endings)) for name, endings in samples]
    distinct = [sample for sample, after in itertools.pairwise([*samples, ("", [])]) if sample[0] != after[0]]
    members = [(f"{name}.{end}", b'{"caption": "%d"}' % next(numbers)) for name, ends in distinct for end in ends]
    shard = tars.write(tmp_path_factory.mktemp("group") / "s.tar", members)
    results = list(webdataset.read(str(shard), CONFIG))
    groups = by_brute_force(shard.read_bytes())
    images = {span(one.items[0].reference) for one in results if isinstance(one, Sketch)}
    expected = collections.Counter()
    for (name, contents), (given_name, endings) in zip(groups, distinct, strict=True):
        assert (name, len(contents)) == (given_name, len(endings))
        expected[{"jpg", "seg.jpg"} & set(endings) != set() and {"txt", "json"} & set(endings) != set()] += 1
        assert len(images & set(contents)) <= 1  # no pair takes from two samples
    repeated = sum(isinstance(one, Drop) and one.rule == "key_repeated" for one in results)
    assert len(images) + repeated == expected[True]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("caption"), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON | st.binary(max_size=20), max_size=5))
@settings(deadline=None, max_examples=60)
def test_arbitrary_json_beside_an_image_never_raises(tmp_path_factory, values):
    members = []
    for number, value in enumerate(values):
        encoded = value if isinstance(value, bytes) else json.dumps(value).encode()
        members += tars.members(f"{number}", {"jpg": JPEG, "json": encoded})
    shard = tars.write(tmp_path_factory.mktemp("json") / "s.tar", members)
    documents, drops = sort(webdataset.read(str(shard), CONFIG))
    assert len(documents) + sum(drops.values()) == len(values)
    for image, text in documents.values():
        assert isinstance(image, Medium) and text.text.strip() and text.text.encode()
