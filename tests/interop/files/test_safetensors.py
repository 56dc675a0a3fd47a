"""Reading safetensors, whole and in shards."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from flamingo_jax.interop.files.tensors import WeightsError, open_tensors

TENSORS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([1.5, -2.25], ml_dtypes.bfloat16),
    "half": np.array([[1], [2]], np.float16),
    "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 3), np.float64),
    "mask": np.array([True, False]),
    "bytes": np.arange(5, dtype=np.uint8),
}


def assert_holds(file, tensors) -> None:
    assert set(file) == set(tensors)
    for name, want in tensors.items():
        assert (file.shape(name), file.dtype(name)) == (want.shape, want.dtype)
        assert (file[name].shape, file[name].dtype) == (want.shape, want.dtype)
        np.testing.assert_array_equal(file[name], want)


@pytest.fixture
def path(tmp_path):
    safetensors.numpy.save_file(TENSORS, tmp_path / "x.safetensors", metadata={"format": "pt"})
    return tmp_path / "x.safetensors"


@pytest.fixture
def index(tmp_path):
    """Two shards and their index."""
    names = list(TENSORS)
    placement = {}
    for number, part in enumerate((names[:3], names[3:]), 1):
        shard = f"model-0000{number}-of-00002.safetensors"
        safetensors.numpy.save_file({name: TENSORS[name] for name in part}, tmp_path / shard)
        placement |= dict.fromkeys(part, shard)
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 59}, "weight_map": placement}))
    return path


def test_round_trip(path):
    with open_tensors(path) as file:
        assert_holds(file, TENSORS)
        assert file.metadata == {"format": "pt"}
        kept = file["a.weight"]
    np.testing.assert_array_equal(kept, TENSORS["a.weight"])
    with pytest.raises(WeightsError, match="closed"):
        file["a.weight"]


def test_the_name_of_the_file_does_not_matter(path):
    assert_holds(open_tensors(path.rename(path.with_name("weights.bin"))), TENSORS)


def test_every_truncation_is_one_clear_error(path):
    data = path.read_bytes()
    cut = path.with_name("cut.safetensors")
    for length in range(1, len(data), 7):
        cut.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"cut\.safetensors"):
            open_tensors(cut)


def test_flipped_bytes_never_raise_anything_else(path):
    clean = path.read_bytes()
    flipped = path.with_name("flipped.safetensors")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        data = bytearray(clean)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        flipped.write_bytes(data)
        try:
            with open_tensors(flipped) as file:
                for name in file:
                    assert file[name].shape == file.shape(name)
        except WeightsError:
            refused += 1
    assert refused > 100


def test_element_types_that_numpy_lacks_are_named(tmp_path):
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(WeightsError, match=r"w has elements of type F8_E4M3"):
        open_tensors(tmp_path / "x.safetensors")


def test_shards_appear_as_one_file(index):
    with open_tensors(index) as file:
        assert_holds(file, TENSORS)
        assert list(file) == list(TENSORS)
        assert file.metadata == {"total_size": 59}
        assert file.path == index
    with pytest.raises(WeightsError, match="closed"):
        file["a.weight"]


def test_shards_in_an_object_store(index, object_store):
    for path in index.parent.iterdir():
        (object_store / path.name).write_bytes(path.read_bytes())
    with open_tensors(object_store / index.name) as file:
        assert_holds(file, TENSORS)


def test_a_missing_shard_is_named(index):
    (index.parent / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00002\.safetensors: no such .*index\.json names it"):
        open_tensors(index)


def test_a_tensor_of_a_shard_that_the_index_omits_is_named(index):
    content = json.loads(index.read_text())
    del content["weight_map"]["mask"]
    index.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"00002-of-00002\.safetensors holds mask, which .*json does not name"):
        open_tensors(index)


def test_a_tensor_that_two_shards_hold_is_named(index):
    first = index.parent / "model-00001-of-00002.safetensors"
    held = {name: TENSORS[name] for name in list(TENSORS)[:3]}
    safetensors.numpy.save_file(held | {"mask": ~TENSORS["mask"], "bytes": TENSORS["bytes"]}, first)
    where = r"00001-of-00002\.safetensors holds (mask|bytes), and 1 more, which .*says is in model-00002-of-00002"
    with pytest.raises(WeightsError, match=where):
        open_tensors(index)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{not json", "no index of shards"),
        ("{}", "no index of shards"),
        ('{"weight_map": ["a"]}', "no index of shards"),
        ('{"weight_map": {"a": 3}}', "no index of shards"),
        ('{"weight_map": {"a.weight": "../model-00001-of-00002.safetensors"}}', "must lie beside its index"),
        ('{"weight_map": {"b.weight": "model-00001-of-00002.safetensors"}}', "holds b.weight, which it does not"),
    ],
)
def test_a_wrong_index_is_one_clear_error(index, text, message):
    index.write_text(text)
    with pytest.raises(WeightsError, match=message):
        open_tensors(index)


def test_an_index_that_names_itself_ends(index):
    index.write_text(json.dumps({"weight_map": {"a": index.name}}))
    with pytest.raises(WeightsError, match="as a shard; a shard holds tensors"):
        open_tensors(index)
