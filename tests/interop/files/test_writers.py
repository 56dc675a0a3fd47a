"""Writing safetensors and torch files: what the formats' own readers make of them, and nothing half-written."""

import json
import pickletools
import resource
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from etils import epath

from flamingo_jax.interop.files import torch_writer
from flamingo_jax.interop.files.output_folder import output_folder
from flamingo_jax.interop.files.pieces import cast, pieces, raw, row_major
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.files.torch_writer import write_torch

RNG = np.random.default_rng(0)
TENSORS = {
    "turned": RNG.normal(size=(7, 5)).astype(np.float32).T,
    "scalar": np.asarray(3.5, np.float32),
    "brain": RNG.normal(size=(3, 4)).astype(ml_dtypes.bfloat16),
    "half": RNG.normal(size=9).astype(np.float16),
    "empty": np.zeros((0, 3), np.float32),
    "long": np.arange(5),
    "é": np.array([True, False]),
    "double": np.ones((2, 2)),
    "bytes": np.arange(3, dtype=np.uint8),
}
SPECS = {name: TensorSpec(array.shape, array.dtype) for name, array in TENSORS.items()}


def assert_holds(file) -> None:
    assert list(file) == list(TENSORS)
    for name, want in TENSORS.items():
        assert (file[name].shape, file[name].dtype) == (want.shape, want.dtype)
        np.testing.assert_array_equal(file[name], want)


def test_one_safetensors_file(tmp_path):
    told = []
    (path,) = write_safetensors(epath.Path(tmp_path), SPECS, TENSORS.__getitem__, wrote=told.append)
    assert path.name == "model.safetensors"
    with open_tensors(path) as file:
        assert_holds(file)
        assert file.metadata == {"format": "pt"}
    # The package's own reader lists the tensors by name, and takes bfloat16 where ml_dtypes has registered it.
    again = safetensors.numpy.load_file(path)
    np.testing.assert_array_equal(again["turned"], TENSORS["turned"])
    assert (int.from_bytes(path.read_bytes()[:8], "little") + 8) % 8 == 0
    assert sum(told) == sum(array.nbytes for array in TENSORS.values())


def test_shards_are_cut_where_they_would_be_too_large(tmp_path):
    *shards, index = write_safetensors(epath.Path(tmp_path), SPECS, TENSORS.__getitem__, shard_bytes=170)
    sizes = [sum(open_tensors(shard).spec(name).nbytes for name in open_tensors(shard)) for shard in shards]
    assert len(shards) >= 2 and max(sizes) <= 170
    assert [shard.name for shard in shards] == [
        f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(1, len(shards) + 1)
    ]
    assert index.name == "model.safetensors.index.json"
    assert json.loads(index.read_text())["metadata"] == {"total_size": sum(sizes)}
    with open_tensors(index) as file:
        assert_holds(file)


def test_a_tensor_larger_than_a_shard_has_its_own(tmp_path):
    *shards, _ = write_safetensors(epath.Path(tmp_path), SPECS, TENSORS.__getitem__, shard_bytes=1)
    assert len(shards) >= len([array for array in TENSORS.values() if array.size])


def test_torch_file(tmp_path):
    told = []
    path = epath.Path(tmp_path) / "checkpoint.pt"
    write_torch(path, SPECS, TENSORS.__getitem__, wrote=told.append)
    with open_tensors(path) as file:
        assert_holds(file)
        assert file.metadata == {}
    assert sum(told) == sum(array.nbytes for array in TENSORS.values())


def test_torch_file_is_laid_out_as_torch_does(tmp_path):
    path = epath.Path(tmp_path) / "checkpoint.pt"
    write_torch(path, SPECS, TENSORS.__getitem__)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None  # checksums
        assert {"checkpoint/data.pkl", "checkpoint/byteorder", "checkpoint/version"} <= set(archive.namelist())
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        program = list(pickletools.genops(archive.read("checkpoint/data.pkl")))
    # Beside the storages', the only names are these two: torch's safe unpickler takes no others.
    named = {argument for opcode, argument, _ in program if opcode.name == "GLOBAL"}
    storages = {name for name in named if name.startswith("torch ") and name.endswith("Storage")}
    assert named - storages == {"torch._utils _rebuild_tensor_v2", "collections OrderedDict"}
    assert "torch BFloat16Storage" in storages
    data = path.read_bytes()
    want = TENSORS["turned"].tobytes()
    assert data.find(want) % 64 == 0 and data.find(want) > 0


def test_counts_beyond_32_bits_are_written(tmp_path):
    """A tensor of 2**33 elements is announced; its (missing) data is what stops the reader, not its size."""
    specs = {"w": TensorSpec((1 << 33, 1), np.dtype(np.uint8))}
    path = epath.Path(tmp_path) / "x.pt"
    with pytest.raises(ValueError, match="announced"):
        write_torch(path, specs, lambda name: np.zeros(3, np.uint8))
    program = list(pickletools.genops(torch_writer._pickle(specs)))
    assert 1 << 33 in [argument for opcode, argument, _ in program if opcode.name == "LONG1"]


@pytest.mark.parametrize("write", ["safetensors", "torch"])
def test_types_are_cast_on_the_way(tmp_path, write):
    values = RNG.normal(size=(40, 30)).astype(np.float32)
    specs = {"w": TensorSpec((40, 30), np.dtype(ml_dtypes.bfloat16))}
    if write == "torch":
        path = epath.Path(tmp_path) / "x.pt"
        write_torch(path, specs, lambda name: values)
    else:
        (path,) = write_safetensors(epath.Path(tmp_path), specs, lambda name: values)
    np.testing.assert_array_equal(open_tensors(path)["w"], values.astype(ml_dtypes.bfloat16))


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(WeightsError, match=r"w holds 70000\.0, which is beyond the largest float16"):
        cast(np.asarray([1, 7e4], np.float32), np.dtype(np.float16), "w")
    infinite = cast(np.asarray([np.inf, np.nan], np.float32), np.dtype(np.float16))
    np.testing.assert_array_equal(infinite, np.asarray([np.inf, np.nan], np.float16))


@pytest.mark.parametrize("most", [1, 16, 100, 10_000])
def test_pieces_are_the_whole_in_order(most):
    base = RNG.normal(size=(6, 5, 4)).astype(np.float32)
    for array in (base, base.T, base[:, ::2], base.transpose(1, 0, 2), base[0, 0, 0], base[:0]):
        parts = list(pieces(array, most))
        joined = np.concatenate([part.reshape(-1) for part in parts]) if parts else np.zeros(0)
        np.testing.assert_array_equal(joined, array.reshape(-1))
        assert all(part.nbytes <= max(most, 4) for part in parts)
    assert b"".join(data.tobytes() for data in raw(base.T, base.dtype)) == base.T.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, ml_dtypes.bfloat16, np.float32, np.float64, np.complex64])
def test_any_array_is_brought_in_order(dtype):
    """Tiles that do not fill the matrix, heads, batches of transposed matrices, and views that are no matrix at all."""
    base = RNG.integers(0, 200, (40, 1100)).astype(dtype)
    heads = base.T.reshape(1100, 5, 8)
    views = [base, base.T, base[:, 7:1090].T, heads, heads[3:900], base.reshape(40, 11, 100).T, base[::3, ::2].T]
    views += [
        base.T.reshape(11, 100, 40),
        base.reshape(4, 10, 1100).transpose(0, 2, 1),
        base[:1].T,
        base[0, 0],
        base[:0].T,
    ]
    views += [np.broadcast_to(base[0], (3, 1100)), base[::-1].T, base.T.reshape(11, 100, 40)[:, 5:]]
    for view in views:
        ours = row_major(view)
        assert ours.flags.c_contiguous
        assert (ours.shape, ours.dtype, ours.tobytes()) == (view.shape, view.dtype, view.tobytes())
    assert row_major(base) is base


def write_both(folder: epath.Path, read=TENSORS.__getitem__) -> None:
    write_safetensors(folder, SPECS, read)
    write_torch(folder / "checkpoint.pt", SPECS, read)
    (folder / "config.json").write_text("{}")


def test_a_folder_appears_when_it_is_whole(tmp_path):
    target = epath.Path(tmp_path) / "deep" / "out"
    with output_folder(target, 1000) as folder:
        write_both(folder)
        assert not target.exists()
    assert sorted(path.name for path in target.iterdir()) == ["checkpoint.pt", "config.json", "model.safetensors"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("a bug")])
def test_nothing_is_left_of_a_failure(tmp_path, error):
    def read(name):
        if name == "half":
            raise error
        return TENSORS[name]

    with (
        pytest.raises((KeyboardInterrupt, RuntimeError)),
        output_folder(epath.Path(tmp_path) / "deep/out", 0) as folder,
    ):
        write_both(folder, read)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_error_and_leaves_nothing(tmp_path):
    """The limit on the size of files stands for the disk: writing fails in the middle, with an OSError."""
    specs = {"w": TensorSpec((1 << 20,), np.dtype(np.uint8))}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with (
            pytest.raises(WeightsError, match=r"could not write .*out: File too large\. Nothing was left behind"),
            output_folder(epath.Path(tmp_path) / "out", 1 << 20) as folder,
        ):
            write_safetensors(folder, specs, lambda name: np.zeros(1 << 20, np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_noticed_before(tmp_path):
    with pytest.raises(WeightsError, match="are free there"), output_folder(epath.Path(tmp_path) / "out", 1 << 60):
        pytest.fail("nothing should be written")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept_unless_told(tmp_path):
    target = epath.Path(tmp_path) / "out"
    target.mkdir()
    with output_folder(target, 0) as folder:  # an empty folder is taken
        (folder / "config.json").write_text("first")
    with (
        pytest.raises(WeightsError, match=r"out is not empty \(it holds config\.json\).*--overwrite"),
        output_folder(target, 0),
    ):
        pytest.fail("nothing should be written")
    with pytest.raises(RuntimeError), output_folder(target, 0, overwrite=True) as folder:
        raise RuntimeError
    assert (target / "config.json").read_text() == "first"
    with output_folder(target, 0, overwrite=True) as folder:
        (folder / "config.json").write_text("second")
    assert (target / "config.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_overwriting_takes_no_folder_that_is_not_a_models(tmp_path):
    (tmp_path / "home/photos").mkdir(parents=True)
    (tmp_path / "home/config.json").touch()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").touch()
    (tmp_path / "file").touch()
    for name, message in (("home", "photos"), ("notes", r"a\.txt"), ("file", "is a file")):
        with pytest.raises(WeightsError, match=message), output_folder(epath.Path(tmp_path) / name, 0, overwrite=True):
            pytest.fail("nothing should be written")


def test_object_stores(object_store):
    target = object_store / "models/out"
    with output_folder(target, 0) as folder:
        write_both(folder)
    with open_tensors(target / "model.safetensors") as file:
        assert_holds(file)
    with open_tensors(target / "checkpoint.pt") as file:
        assert_holds(file)
    with pytest.raises(KeyboardInterrupt), output_folder(target, 0, overwrite=True) as folder:
        (folder / "model.safetensors").write_text("half")
        raise KeyboardInterrupt
    assert not target.exists() or not list(target.iterdir())
