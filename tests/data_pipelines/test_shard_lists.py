"""Which files an input names, and what they are called."""

import pytest
from etils import epath

from data_pipelines.containers import shard_lists
from data_pipelines.output import BuildError


@pytest.fixture
def corpus(tmp_path):
    for name in ("b/1.tar", "a/2.TAR", "a/deep/3.tar", "a/notes.txt", "b/4.tar.gz"):
        (tmp_path / "corpus" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / name).write_bytes(name.encode())
    return tmp_path / "corpus"


@pytest.mark.parametrize(
    ("root", "base", "expected"),
    [
        ("", "", ["a/2.TAR", "a/deep/3.tar", "b/1.tar"]),
        ("a", "a", ["2.TAR", "deep/3.tar"]),
        ("b/1.tar", "b", ["1.tar"]),
        ("*/?.tar", "", ["b/1.tar"]),
        ("[ab]", "", ["a/2.TAR", "a/deep/3.tar", "b/1.tar"]),
        ("a/*", "a", ["2.TAR", "deep/3.tar"]),
    ],
)
def test_found_and_named(corpus, root, base, expected):
    found = shard_lists.find(f"{corpus}/{root}".rstrip("/"), (".tar",), "tar")
    assert [shard_lists.split(shard)[1] for shard in found] == expected
    folder = corpus / base
    assert [shard_lists.split(shard)[0] for shard in found] == [f"{folder}/{name}" for name in expected]
    for shard, name in zip(found, expected, strict=True):
        assert epath.Path(shard).read_bytes() == (folder / name).read_bytes()  # opens as it is


def test_relative_inputs(corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    for root in (".", "./", "*/*.tar", "./b"):
        (shard,) = (one for one in shard_lists.find(root, (".tar",), "tar") if one.endswith("1.tar"))
        assert epath.Path(shard_lists.split(shard)[0]).read_bytes() == b"b/1.tar"


def test_plain_paths_and_folders_have_names():
    assert shard_lists.split("/data/x/00000.tar") == ("/data/x/00000.tar", "00000.tar")
    assert shard_lists.split("gs://bucket/x/./y/00000.tar") == ("gs://bucket/x/y/00000.tar", "y/00000.tar")
    assert shard_lists.split(shard_lists.join("/data/x", "")) == ("/data/x", "")
    assert shard_lists.split(shard_lists.join("gs://bucket", "a/b")) == ("gs://bucket/a/b", "a/b")


def test_names_with_the_characters_of_globs(corpus):
    (corpus / "a").rename(corpus / "a[1]")
    assert len(shard_lists.find(f"{corpus}/a[1]", (".tar",), "tar")) == 2


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("nowhere", "nowhere does not exist"),
        ("empty", "is an empty folder"),
        ("*.zip", "nothing matches the glob"),
        ("**/*.tar", "name the folder, all below it is read"),
        ("a/notes.txt", r"has no tar: no file ends in \.tar"),
    ],
)
def test_inputs_without_shards(corpus, root, message):
    (corpus / "empty").mkdir()
    with pytest.raises(BuildError, match=message):
        shard_lists.find(f"{corpus}/{root}", (".tar",), "tar")


def test_links_out_of_a_folder_are_refused_and_named_ones_followed(corpus, tmp_path):
    (tmp_path / "elsewhere.tar").write_bytes(b"x")
    (corpus / "link.tar").symlink_to(tmp_path / "elsewhere.tar")
    (corpus / "folder").symlink_to(tmp_path)
    with pytest.raises(BuildError, match=r"link\.tar is a link that leads out of --input"):
        shard_lists.find(str(corpus), (".tar",), "tar")
    assert [shard_lists.split(one)[1] for one in shard_lists.find(f"{corpus}/*.tar", (".tar",), "tar")] == ["link.tar"]
    (corpus / "link.tar").unlink()
    (corpus / "link.tar").symlink_to(corpus / "b" / "1.tar")
    assert len(shard_lists.find(str(corpus), (".tar",), "tar")) == 4


def test_compressed_tars_are_refused(corpus):
    with pytest.raises(BuildError, match=r"1 compressed tars, such as b/4\.tar\.gz"):
        shard_lists.refuse_compressed_tars(str(corpus))
    shard_lists.refuse_compressed_tars(f"{corpus}/a")
