"""Reading pickles of Haiku parameters without Haiku: exact contents, and nothing hostile or damaged gets through."""

import collections
import pathlib
import pickle
import struct
import sys
import tracemalloc
import types

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from flamingo_jax.interop.files import haiku_pickle
from flamingo_jax.interop.files.tensors import WeightsError, open_tensors

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
PROTOCOLS = (3, 4, 5)
RNG = np.random.default_rng(0)
LARGE = RNG.standard_normal((70, 300), np.float32)  # beyond what protocol 4 puts in a frame
TREE = {
    "net/~/conv": {
        "w": RNG.standard_normal((3, 3, 2, 4), np.float32),
        "large": LARGE,
        "columns": np.asfortranarray(LARGE[:5]),
        "gain": np.float32(1.5),
        "scalar": np.asarray(-2.5, np.float64),
    },
    "net/~/other": {
        "half": np.arange(4, dtype=np.float16),
        "bf16": np.arange(4).astype(ml_dtypes.bfloat16),
        "jax": jnp.arange(6.0, dtype=jnp.bfloat16).reshape(2, 3),
        "int": np.asarray([-1, 2**40]),
        "byte": np.arange(5, dtype=np.uint8),
        "bool": np.asarray([True, False]),
        "none": np.zeros((0, 3), np.float32),
    },
    "step": 7,
    "note": "naïve",
}
EXPECTED = {
    f"{module}/{name}": np.asarray(leaf)
    for module, leaves in TREE.items()
    if isinstance(leaves, dict)
    for name, leaf in leaves.items()
}


class FlatMapping:
    """Pickles as Haiku's immutable dict does."""

    def __init__(self, content):
        self.content = content

    def __reduce__(self):
        return FlatMapping, (self.content,)


def write(path, opcodes: bytes, protocol: int = 3) -> pathlib.Path:
    """A pickle of these opcodes."""
    path.write_bytes(b"\x80" + bytes([protocol]) + opcodes + b".")
    return path


def literal(value) -> bytes:
    """The opcodes that push a plain value."""
    return pickle.dumps(value, 3)[2:-1]


def array_opcodes(shape=(2,), data=b"\0" * 8, kind="f4", order="<", fields=None, made=b"") -> bytes:
    """The opcodes that push an array."""
    element = b"cnumpy\ndtype\n" + literal((kind, False, True)) + b"R"
    element += literal((3, order, None, None, fields, -1, -1, 0)) + b"b"
    make = made or b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + literal((0,)) + literal(b"b") + b"\x87R"
    return make + b"(" + literal(1) + literal(shape) + element + literal(False) + literal(data) + b"tb"


def in_module(opcodes: bytes) -> bytes:
    """The opcodes that push `{"net": {"w": ...}}`."""
    return b"}" + literal("net") + b"}" + literal("w") + opcodes + b"ss"


def check_contents(weights) -> None:
    assert sorted(weights) == sorted(EXPECTED)
    for name, want in EXPECTED.items():
        got = weights[name]
        assert (weights.shape(name), weights.dtype(name)) == (got.shape, got.dtype) == (want.shape, want.dtype), name
        assert got.tobytes() == want.tobytes(), name
        assert got.flags.c_contiguous, name
    assert weights.metadata == {"step": 7, "note": "naïve"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_contents_are_what_was_pickled(tmp_path, protocol):
    (tmp_path / "x.npz").write_bytes(pickle.dumps(TREE, protocol))
    with open_tensors(tmp_path / "x.npz") as weights:
        check_contents(weights)


def test_names_of_older_numpy(tmp_path):
    data = pickle.dumps(TREE, 3)
    assert b"numpy._core.multiarray" in data
    (tmp_path / "x.npz").write_bytes(data.replace(b"numpy._core.", b"numpy.core."))
    check_contents(open_tensors(tmp_path / "x.npz"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_haikus_and_ordered_dicts(tmp_path, monkeypatch, protocol):
    for name in ("haiku", "haiku._src", "haiku._src.data_structures"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["haiku._src.data_structures"].FlatMapping = FlatMapping
    monkeypatch.setattr(FlatMapping, "__module__", "haiku._src.data_structures")
    wrap = [FlatMapping, collections.OrderedDict]
    tree = {name: wrap[i % 2](leaf) if isinstance(leaf, dict) else leaf for i, (name, leaf) in enumerate(TREE.items())}
    (tmp_path / "x.npz").write_bytes(pickle.dumps(FlatMapping(tree), protocol))
    check_contents(open_tensors(tmp_path / "x.npz"))


def test_dills_way_to_pickle_arrays():
    with open_tensors(GOLDENS / "nfnet_haiku_weights.npz") as weights:
        assert b"dill._dill\n_create_array" in (GOLDENS / "nfnet_haiku_weights.npz").read_bytes()
        assert weights.shape("NFNet/~/nf_block_1/~/conv1b/w") == (3, 3, 8, 8)
        assert weights["NFNet/~/nf_block/skip_gain"].shape == ()
        assert not weights.metadata
        kept = weights["NFNet/~/stem_conv0/w"]
    assert kept.shape == (3, 3, 3, 16) and 0.5 < kept.std() < 1.5
    with pytest.raises(WeightsError, match="closed"):
        weights["NFNet/~/stem_conv0/w"]


def test_opening_reads_no_array(tmp_path):
    data = pickle.dumps({"net": {"w": np.zeros(2_000_000, np.float32)}}, 4)
    (tmp_path / "x.npz").write_bytes(data)
    open_tensors(tmp_path / "x.npz").close()  # imports
    tracemalloc.start()
    try:
        with open_tensors(tmp_path / "x.npz") as weights:
            assert tracemalloc.get_traced_memory()[1] < 1e6
            assert weights["net/w"].nbytes == 8_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cposix\nsystem\n(X\x0d\x00\x00\x00touch PWNED_1tR",
        b"cbuiltins\nexec\n(X\x1e\x00\x00\x00open('PWNED_2', 'w').write('')tR",
        b"(X\x0d\x00\x00\x00touch PWNED_3iposix\nsystem\n",
        b"cbuiltins\ngetattr\n",
        b"cnumpy\nload\n",
        b"cnumpy\nndarray.tofile\n",
        b"cdill._dill\n_load_type\n",
        b"cdill._dill\n_create_function\n",
        b"ccollections\nOrderedDict.fromkeys\n",
        b"cjax._src.array\nArrayImpl\n",
    ],
)
def test_nothing_in_a_pickle_is_run(tmp_path, monkeypatch, opcodes):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "evil.npz", in_module(opcodes))
    with pytest.raises(WeightsError, match=r"evil\.npz asks for .* nothing else is loaded or run"):
        open_tensors(path)
    assert [item.name for item in tmp_path.iterdir()] == ["evil.npz"]


def test_a_pickle_cannot_alter_the_stand_ins(tmp_path):
    state = b"}" + literal("make") + literal("posix.system") + b"s"
    for target in (b"ccollections\nOrderedDict\n", b"cnumpy\ndtype\n", b"ccollections\nOrderedDict\n)R"):
        with pytest.raises(WeightsError, match="a state for what is no array"):
            open_tensors(write(tmp_path / "x.npz", target + state + b"b"))
    test_contents_are_what_was_pickled(tmp_path, 3)


@pytest.mark.parametrize(
    ("opcodes", "message"),
    [
        (array_opcodes(shape=(3,)), "8 bytes for an array of shape"),
        (array_opcodes(shape=(-2,)), "an array of shape"),
        (array_opcodes(shape=(2.0,)), "an array of shape"),
        (array_opcodes(shape=[2]), "an array of shape"),
        (array_opcodes(shape=(2**62, 2**62)), "8 bytes for an array"),
        (array_opcodes(data="x" * 8), "without a plain dtype and bytes"),
        (array_opcodes(kind="O8"), "arrays of type 'O8'"),
        (array_opcodes(kind="V8"), "arrays of type 'V8'"),
        (array_opcodes(kind="U2"), "arrays of type 'U2'"),
        (array_opcodes(order=">"), "big-endian"),
        (array_opcodes(fields={"a": 1}), "structured"),
        (array_opcodes(made=b"ccollections\nOrderedDict\n)R"), "a state for what is no array"),
        (b"cnumpy.core.multiarray\n_reconstruct\n)R", "neither an array nor a number"),
        (b"]" + array_opcodes() + b"a", "neither an array nor a number"),
        (literal(b"raw"), "neither an array nor a number"),
        (b"cnumpy\ndtype\n", "neither an array nor a number"),
        (b"cnumpy\nndarray\n" + literal((1, 2)) + b"\x81", "truncated or corrupt"),
        (b"chaiku._src.data_structures\nFlatMapping\n" + literal([("a", 1)]) + b"\x85R", "not made from a dict"),
        (b"\x8e" + struct.pack("<Q", 2**60), "ends within an array"),
        (b"X" + struct.pack("<I", 2**32 - 1), "ends too early"),
        (b"\x8d" + struct.pack("<Q", 2**60), "ends too early"),
        (b"Vno line end", "truncated or corrupt"),
        (b"Pid\n", "truncated or corrupt"),
    ],
)
def test_what_is_no_plain_array(tmp_path, opcodes, message):
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"x\.npz.*" + message):
            open_tensors(write(tmp_path / "x.npz", in_module(opcodes)))
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_dicts_that_contain_themselves_or_unfold_without_end(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="nested too deep"):
        open_tensors(write(tmp_path / "x.npz", b"}q\x63" + literal("a") + b"h\x63s"))
    monkeypatch.setattr(haiku_pickle, "_MOST_ENTRIES", 1000)
    shared: dict = {}
    for _ in range(6):
        shared = {f"m{i}": shared for i in range(100)}
    (tmp_path / "y.npz").write_bytes(pickle.dumps(shared, 3))
    with pytest.raises(WeightsError, match="more than 1,000 entries"):
        open_tensors(tmp_path / "y.npz")


@pytest.mark.parametrize("key", [10**5000, (), np.float32(0), None], ids=["huge", "tuple", "number", "none"])
def test_names_are_strings(tmp_path, key):
    (tmp_path / "x.npz").write_bytes(pickle.dumps({"net": {key: np.zeros(2)}}, 3))
    with pytest.raises(WeightsError, match=r"'net' has a key that is no string|for a key of a dict"):
        open_tensors(tmp_path / "x.npz")


def test_one_name_for_two_arrays(tmp_path):
    (tmp_path / "x.npz").write_bytes(pickle.dumps({"net": {"w": np.zeros(2)}, "net/w": np.ones(2)}, 3))
    with pytest.raises(WeightsError, match="'net/w' twice"):
        open_tensors(tmp_path / "x.npz")


@pytest.mark.parametrize("tree", [{}, {"a": 1}, 5, [1, 2]])
def test_pickles_without_arrays_are_no_weights(tmp_path, tree):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(tree))
    with pytest.raises(WeightsError, match=r"x\.pkl.*(no weight file of a known format|neither an array)"):
        open_tensors(tmp_path / "x.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_truncation_is_one_clear_error(tmp_path, protocol):
    tree = {"net": {"w": np.arange(12, dtype=np.float32), "b": np.zeros(2)}, "other": {"w": np.ones((2, 2))}}
    data = pickle.dumps(tree, protocol)
    path = tmp_path / "cut.npz"
    for length in range(1, len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"cut\.npz"):
            open_tensors(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_flipped_bytes_never_raise_anything_else(tmp_path, protocol):
    tree = {"net": {"w": np.arange(3, dtype=np.float32), "b": np.zeros((), np.float64)}, "step": 3}
    clean = pickle.dumps(tree, protocol)
    path, rng, refused = tmp_path / "flipped.npz", np.random.default_rng(0), 0
    for _ in range(600):
        data = bytearray(clean)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        try:
            with open_tensors(path) as weights:
                for name in weights:
                    assert weights[name].shape == weights.shape(name)
        except WeightsError:
            refused += 1
    assert refused > 200
