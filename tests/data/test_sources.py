import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from etils import epath

from flamingo_jax.data.errors import RecordError, SourceError
from flamingo_jax.data.sources import open_source, version_folder
from tests.data.samples import noise_bytes, page, pair
from tests.data.stored import write

DOCUMENTS = {f"k{place:02}": pair(f"k{place:02}", f"caption {place}", noise_bytes(place)) for place in range(12)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A dataset as the builders write it."""
    keys = sorted(DOCUMENTS)
    folder = epath.Path(tmp_path_factory.mktemp("corpus"))
    write(folder, "pairs", {"train": keys[:10], "validation": keys[10:]}, DOCUMENTS.__getitem__)
    return folder / "pairs"


@pytest.fixture
def copy(built, tmp_path):
    """A copy that a test may damage."""
    return epath.Path(shutil.copytree(built, tmp_path / "pairs"))


def shard(dataset):
    return next(path for path in (dataset / "1.0.0").iterdir() if "train" in path.name)


def test_documents_come_back(built):
    for split, count in (("train", 10), ("validation", 2), ("train[:30%]", 3)):
        source = open_source(built, split)
        documents = [source[index] for index in range(len(source))]
        assert len(documents) == count
        assert all(document == DOCUMENTS[document.key] for document in documents)


def test_pages_with_many_items_come_back(tmp_path):
    wanted = page("p", "3ii5i" + "i" * 20)
    write(epath.Path(tmp_path), "m3w", {"train": ["p"]}, lambda key: wanted)
    assert open_source(tmp_path / "m3w", "train")[0] == wanted


def test_survives_pickling_and_threads(built):
    source = pickle.loads(pickle.dumps(open_source(built, "train")))
    assert len(source) == 10
    with ThreadPoolExecutor(4) as pool:
        keys = list(pool.map(lambda index: source[index % 10].key, range(200)))
    assert sorted(set(keys)) == sorted(DOCUMENTS)[:10] and keys[:10] == keys[190:]


def test_newest_version_is_read(copy):
    for version in ("1.2.0", "1.10.0", "2.0.0.incompleteXYZ", "notes"):
        shutil.copytree(copy / "1.0.0", copy / version)
    (copy / "3.0.0").mkdir()
    assert version_folder(copy).name == "1.10.0"
    assert version_folder(copy / "1.2.0").name == "1.2.0"


def test_index_outside_is_an_error(built):
    with pytest.raises(IndexError, match="record 10 of 10"):
        open_source(built, "train")[10]


def test_missing_dataset(tmp_path):
    with pytest.raises(SourceError, match="nothing_here: no such dataset; build it first"):
        open_source(tmp_path / "nothing_here", "train")


def test_half_built_dataset(copy):
    (copy / "1.0.0" / "dataset_info.json").unlink()
    with pytest.raises(SourceError, match=r"no complete dataset here .*found: 1\.0\.0"):
        open_source(copy, "train")


def test_broken_metadata(copy):
    (copy / "1.0.0" / "dataset_info.json").write_text("{")
    with pytest.raises(SourceError, match="not a readable TFDS dataset"):
        open_source(copy, "train")


def test_unknown_split_names_the_known(built):
    with pytest.raises(SourceError, match=r"cannot open split 'test' \(splits: train, validation\)"):
        open_source(built, "test")


def test_empty_slice(built):
    with pytest.raises(SourceError, match=r"cannot open split 'train\[:0\]'"):
        open_source(built, "train[:0]")


def test_dataset_of_something_else(copy):
    features = copy / "1.0.0" / "features.json"
    features.write_text(features.read_text().replace('"payloads"', '"pixels"'))
    with pytest.raises(SourceError, match="its records have no payloads"):
        open_source(copy, "train")


def test_flipped_bit_spoils_one_record_only(copy):
    file = shard(copy)
    data = bytearray(file.read_bytes())
    place = data.index(b"\xff\xd8\xff") + 200 if b"\xff\xd8\xff" in data else 300
    data[place] ^= 1
    file.write_bytes(bytes(data))
    source = open_source(copy, "train")
    outcomes = []
    for index in range(10):
        try:
            outcomes.append(source[index].key)
        except RecordError as error:
            assert f"record {index} is damaged" in str(error)
            outcomes.append(None)
    assert outcomes.count(None) == 1


@pytest.mark.parametrize("keep", [0, 1000, 65536])
def test_truncated_shard_is_a_source_error(copy, keep):
    file = shard(copy)
    data = file.read_bytes()
    assert len(data) > keep
    file.write_bytes(data[:keep])
    with pytest.raises(SourceError, match="record 3 cannot be read"):
        open_source(copy, "train")[3]


def test_missing_shard_is_a_source_error(copy):
    shard(copy).unlink()
    with pytest.raises(SourceError, match="record 0 cannot be read"):
        open_source(copy, "train")[0]


def test_record_that_is_no_document(tmp_path):
    class Broken:
        key = "x"

        def to_record(self):
            return {"key": "x", "kinds": ["text", "hologram"], "payloads": [b"a", b"b"], "sources": ["", ""]}

    write(epath.Path(tmp_path), "pairs", {"train": ["x"]}, lambda key: Broken())
    with pytest.raises(RecordError, match=r"record 0 is not a document: .*unknown item kind 'hologram'"):
        open_source(tmp_path / "pairs", "train")[0]
