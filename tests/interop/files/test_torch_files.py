"""Reading torch's zip and stream files without torch: exact contents, and nothing hostile or damaged gets through."""

import pathlib
import pickle
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest

from flamingo_jax.interop.files import torch_files
from flamingo_jax.interop.files.tensors import WeightsError, open_tensors

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
FORMATS = ("torch_zip.pt", "torch_stream.pt")
MAGIC = 0x1950A86A20F9469CFC6C
FOUR_ZEROS = (4).to_bytes(8, "little") + b"\0" * 16


def literal(value) -> bytes:
    """The opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor_opcodes(offset, shape, strides, length=4, key="0", metadata=b"", storage=b"ctorch\nFloatStorage\n") -> bytes:
    """The opcodes that push a float32 tensor over storage `key` of `length` elements."""
    reference = b"(" + literal("storage") + storage + literal(key) + literal("cpu") + literal(length) + b"tQ"
    arguments = literal(offset) + literal(shape) + literal(strides) + literal(False) + literal(None) + metadata
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + reference + arguments + b"tR"


def write_zip(path, opcodes: bytes, data=b"\0" * 16, compression=zipfile.ZIP_STORED) -> pathlib.Path:
    """A torch zip of one pickle and the storage "0"."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + opcodes + b".")
        archive.writestr("archive/data/0", data)
    return path


def write_stream(path, opcodes: bytes, keys=("0",), data=FOUR_ZEROS, protocol=1001):
    """A torch stream of one pickle and its storages."""
    info = {"little_endian": True, "protocol_version": protocol, "type_sizes": {}}
    head = [pickle.dumps(value, 2) for value in (MAGIC, protocol, info)]
    path.write_bytes(b"".join([*head, b"\x80\x02", opcodes, b".", pickle.dumps(list(keys), 2), data]))
    return path


WRITERS = (write_zip, write_stream)


@pytest.mark.parametrize("file", FORMATS)
def test_contents_are_torchs(file):
    expected = np.load(GOLDENS / "torch_expected.npz")
    with open_tensors(GOLDENS / file) as weights:
        assert sorted(weights) == sorted(name.partition("@")[0] for name in expected)
        for key, want in expected.items():
            name, _, kind = key.partition("@")
            got = weights[name]
            dtype = np.dtype(getattr(ml_dtypes, kind)) if kind else want.dtype
            assert (weights.shape(name), weights.dtype(name)) == (got.shape, got.dtype) == (want.shape, dtype), name
            np.testing.assert_array_equal(got.view(want.dtype), want, err_msg=name)
            assert got.flags.c_contiguous and got.flags.aligned, name
        assert weights.metadata == {"epoch": 3, "note": "naïve", "optimizer.state.0.step": 10}


@pytest.mark.parametrize("file", FORMATS)
def test_reads_lazily_and_arrays_outlive_the_file(file):
    with open_tensors(GOLDENS / file) as weights:
        kept = weights["state_dict.plain.weight"]
    np.testing.assert_array_equal(kept, np.load(GOLDENS / "torch_expected.npz")["state_dict.plain.weight"])
    with pytest.raises(WeightsError, match="closed"):
        weights["state_dict.plain.weight"]


def test_unknown_name_says_what_is_there():
    with open_tensors(GOLDENS / "torch_zip.pt") as weights:
        assert "state_dict.plain.weigth" not in weights
        with pytest.raises(KeyError, match=r"state_dict\.plain\.weight"):
            weights["state_dict.plain.weigth"]


@pytest.mark.parametrize("write", WRITERS)
def test_plain_state_dict_keeps_its_names(tmp_path, write):
    path = write(tmp_path / "x.pt", b"}" + literal("a.weight") + tensor_opcodes(0, (2, 2), (1, 2)) + b"s")
    assert list(open_tensors(path)) == ["a.weight"]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "opcodes",
    [
        b"cposix\nsystem\n(X\x0d\x00\x00\x00touch PWNED_1tR",
        b"cbuiltins\nexec\n(X\x1e\x00\x00\x00open('PWNED_2', 'w').write('')tR",
        b"cbuiltins\ngetattr\n",
        b"ctorch._utils\n_rebuild_sparse_tensor\n",
        b"ctorch.serialization\nload\n",
        b"ccollections\nOrderedDict.fromkeys\n",
        b"ctorch\nFloatStorage.__class__\n",
    ],
)
def test_nothing_in_a_pickle_is_run(tmp_path, monkeypatch, write, opcodes):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "evil.pt", opcodes)
    with pytest.raises(WeightsError, match=r"evil\.pt asks for .* nothing else is loaded or run"):
        open_tensors(path)
    assert [item.name for item in tmp_path.iterdir()] == ["evil.pt"]


def test_a_pickled_module_is_refused():
    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear"):
        open_tensors(GOLDENS / "torch_module.pt")


def test_a_pickle_cannot_alter_the_stand_ins(tmp_path):
    state = b"N" + b"}" + literal("make") + b"ctorch\nFloatStorage\n" + b"s" + b"\x86"
    with pytest.raises(WeightsError):
        open_tensors(write_zip(tmp_path / "x.pt", b"ctorch._utils\n_rebuild_tensor_v2\n" + state + b"b"))
    test_contents_are_torchs("torch_zip.pt")


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(
    "opcodes",
    [
        tensor_opcodes(0, (5,), (1,)),
        tensor_opcodes(1, (2, 2), (2, 1)),
        tensor_opcodes(0, (2,), (4,)),
        tensor_opcodes(-1, (2,), (1,)),
        tensor_opcodes(3, (2,), (-1,)),
        tensor_opcodes(0, (2, 2), (1,)),
        tensor_opcodes(0, (1.0,), (1,)),
        tensor_opcodes(0, (5,), (1,), length=5),
        tensor_opcodes(0, (1,), (1,), length=2**62),
        tensor_opcodes(0, (1,), (1,), key="../0"),
        tensor_opcodes(0, (1,), (1,), storage=literal(7)),
        tensor_opcodes(0, (1,), (1,), metadata=literal({"conj": True})),
    ],
)
def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path, write, opcodes):
    with pytest.raises(WeightsError, match=r"x\.pt"):
        open_tensors(write(tmp_path / "x.pt", opcodes))


def test_objects_that_contain_themselves_or_unfold_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_files, "_MOST_LEAVES", 1000)
    with pytest.raises(WeightsError, match="contains itself"):
        open_tensors(write_zip(tmp_path / "x.pt", b"}q\x63" + literal("a") + b"h\x63s"))
    doubling = b"]q\x00" + b"".join(
        b"]q" + bytes([i]) + b"(h" + bytes([i - 1]) + b"h" + bytes([i - 1]) + b"e" for i in range(1, 40)
    )
    with pytest.raises(WeightsError, match="more than"):
        open_tensors(write_zip(tmp_path / "y.pt", doubling))


def test_other_files_in_disguise(tmp_path):
    np.savez(tmp_path / "numpy.npz", a=np.zeros(2))
    with pytest.raises(WeightsError, match=r"numpy\.npz is a zip, but not one of torch"):
        open_tensors(tmp_path / "numpy.npz")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(WeightsError, match="no weight file of a known format"):
        open_tensors(tmp_path / "bare.pkl")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({}))
        archive.writestr("m/constants.pkl", pickle.dumps(()))
    with pytest.raises(WeightsError, match="TorchScript"):
        open_tensors(tmp_path / "script.pt")
    with pytest.raises(WeightsError, match="compressed"):
        open_tensors(write_zip(tmp_path / "zipped.pt", b"}", compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(WeightsError, match="version 1000"):
        open_tensors(write_stream(tmp_path / "old.pt", b"}", protocol=1000))


def test_missing_empty_and_folder(tmp_path):
    (tmp_path / "empty.pt").touch()
    for path, message in ((tmp_path / "no.pt", "no such"), (tmp_path, "folder"), (tmp_path / "empty.pt", "empty")):
        with pytest.raises(WeightsError, match=message):
            open_tensors(path)


@pytest.mark.parametrize("file", FORMATS)
def test_every_truncation_is_one_clear_error(tmp_path, file):
    data = (GOLDENS / file).read_bytes()
    path = tmp_path / "cut.pt"
    for length in [*range(1, len(data), 61), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"cut\.pt"):
            open_tensors(path)


@pytest.mark.parametrize("file", FORMATS)
def test_flipped_bytes_never_raise_anything_else(tmp_path, file):
    clean = (GOLDENS / file).read_bytes()
    path = tmp_path / "flipped.pt"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(400):
        data = bytearray(clean)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            with open_tensors(path) as weights:
                for name in weights:
                    assert weights[name].shape == weights.shape(name)
        except WeightsError:
            refused += 1
    assert refused > 50  # a flip inside the numbers themselves cannot be seen


def test_a_huge_index_in_a_damaged_pickle_costs_no_memory(tmp_path):
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError):
            open_tensors(write_zip(tmp_path / "x.pt", b"]r\xff\xff\xff\x0f" + b"?"))
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_object_store_paths_are_copied_and_named_as_given(object_store):
    root = object_store
    (root / "weights.pt").write_bytes((GOLDENS / "torch_zip.pt").read_bytes())
    with open_tensors(root / "weights.pt") as weights:
        assert weights.path == root / "weights.pt"
        want = np.load(GOLDENS / "torch_expected.npz")["state_dict.double"]
        np.testing.assert_array_equal(weights["state_dict.double"], want)
    (root / "evil.pt").write_bytes((GOLDENS / "torch_module.pt").read_bytes())
    with pytest.raises(WeightsError, match=r"^az://bucket/evil\.pt asks for"):
        open_tensors(root / "evil.pt")


def test_keys_that_take_forever_to_hash_are_refused(tmp_path):
    """A tuple that holds the tuple before it twice, forty times over: hashing it would visit 2**40 parts."""
    deep = b")" + b"2\x86" * 40
    for name, program in (
        ("setitem", b"}" + deep + b"Ns."),
        ("setitems", b"}(" + deep + b"Nu."),
        ("dict", b"(" + deep + b"Nd."),
        ("ordered", b"ccollections\nOrderedDict\n]" + b"(" + deep + b"Nt" + b"a\x85R."),
        ("frozenset", b"(" + deep + b"\x91."),
    ):
        path = tmp_path / f"{name}.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x04" + program)
        with pytest.raises(WeightsError, match="no file of weights holds"):
            open_tensors(path)
