"""The conversion engine on made-up files and maps: checks before reading, numbers of reads, exact round trips."""

import collections

import ml_dtypes
import numpy as np
import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.interop.conversion import Parameters, Source, Target
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.files.torch_writer import write_torch
from flamingo_jax.interop.layouts import Flat, Joined, JoinedByHead, Linear, Plain, RotaryPairs
from flamingo_jax.interop.summary import summary
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap

RNG = np.random.default_rng(0)
SHAPES = {
    "embedding": (9, 6),
    "new_rows": (2, 6),
    "layers/0/query/kernel": (6, 2, 4),
    "layers/0/key/kernel": (6, 2, 4),
    "layers/0/value/kernel": (6, 2, 4),
    "layers/0/query/bias": (2, 4),
    "layers/0/output/kernel": (2, 4, 6),
    "gate": (),
}
QKV = ("layers/0/query/kernel", "layers/0/key/kernel", "layers/0/value/kernel")
PEER = WeightMap(
    (
        Rule("wte", ("embedding", "new_rows"), Joined(Plain())),
        Rule("h.0.qkv", QKV, JoinedByHead(Linear(), 2)),
        Rule("h.0.q_bias", ("layers/0/query/bias",), RotaryPairs(Flat(), 2)),
        Rule("h.0.out", ("layers/0/output/kernel",), Linear(contracted=2)),
        Rule("alpha", ("gate",), Flat()),
    ),
    (Drop(r"h\.\d+\.rotary", "a table that is computed"),),
)
OTHER = WeightMap(
    (
        Rule("tokens", ("embedding",), Plain()),
        Rule("more", ("new_rows",), Plain()),
        *(Rule(name.split("/")[2], (name,), Linear(transposed=False)) for name in QKV),
        Rule("b", ("layers/0/query/bias",), Plain()),
        Rule("o", ("layers/0/output/kernel",), Plain()),
        Rule("g", ("gate",), Plain()),
    )
)


def peer_tensors(dtype=np.float32, **changes) -> dict[str, np.ndarray]:
    shapes = {"h.0.rotary": (3,)}
    shapes |= {rule.theirs: rule.layout.their_shape([SHAPES[name] for name in rule.ours]) for rule in PEER.rules}
    tensors = {name: RNG.normal(size=shape).astype(dtype) for name, shape in shapes.items()}
    return {name: array for name, array in (tensors | changes).items() if array is not None}


def write(folder, tensors, name="model.safetensors"):
    folder.mkdir(exist_ok=True)
    specs = {name: TensorSpec(array.shape, array.dtype) for name, array in tensors.items()}
    if name.endswith(".pt"):
        write_torch(epath.Path(folder / name), specs, tensors.__getitem__)
    else:
        write_safetensors(epath.Path(folder), specs, tensors.__getitem__)
    return open_tensors(folder / name)


class Counted:
    """A file that counts how often each of its tensors is read."""

    def __init__(self, file):
        self.file, self.path, self.reads = file, file.path, collections.Counter()

    def __iter__(self):
        return iter(self.file)

    def spec(self, name):
        return self.file.spec(name)

    def __getitem__(self, name):
        self.reads[name] += 1
        return self.file[name]


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("file", ["model.safetensors", "checkpoint.pt"])
def test_in_out_in_is_bit_identical(tmp_path, dtype, file):
    tensors = peer_tensors(dtype)
    first = Parameters([Source(write(tmp_path / "in", tensors), PEER)], SHAPES)
    target = Target(first, OTHER)
    with write(tmp_path / "out", {name: target.read(name) for name in target.specs}, file) as other:
        second = Parameters([Source(other, OTHER)], SHAPES)
        back = Target(second, PEER)
        for name in back.specs:
            got = back.read(name)
            assert got.dtype == tensors[name].dtype == back.specs[name].dtype
            assert (got.shape, got.tobytes()) == (tensors[name].shape, tensors[name].tobytes()), name
        assert back.specs.keys() == tensors.keys() - {"h.0.rotary"}


def test_parameters_are_what_the_layouts_say(tmp_path):
    tensors = peer_tensors()
    parameters = Parameters([Source(write(tmp_path / "in", tensors), PEER)], SHAPES)
    assert {name: spec.shape for name, spec in parameters.specs.items()} == SHAPES
    np.testing.assert_array_equal(parameters["new_rows"], tensors["wte"][9:])
    np.testing.assert_array_equal(parameters["layers/0/key/kernel"][:, 1, 2], tensors["h.0.qkv"][4 * 4 + 2])
    assert parameters["gate"] == tensors["alpha"][0]
    (dropped,) = parameters.dropped
    assert dropped == ("h.0.rotary", 12, "a table that is computed")


def test_every_tensor_is_read_once_and_never_two_are_kept(tmp_path):
    file = Counted(write(tmp_path / "in", peer_tensors()))
    parameters = Parameters([Source(file, PEER)], SHAPES)
    assert not file.reads  # nothing is read to check
    target = Target(parameters, OTHER)
    for name in target.specs:
        target.read(name)
        assert len(parameters._last[1]) < 3
    assert file.reads == dict.fromkeys(peer_tensors().keys() - {"h.0.rotary"}, 1)
    assert not parameters._last[1]  # nothing is kept that nobody will ask for


def test_one_error_names_every_tensor_that_does_not_fit(tmp_path):
    tensors = peer_tensors(alpha=None, wte=np.zeros((9, 6), np.float32), surprise=np.zeros(2))
    with pytest.raises(WeightsError) as caught:
        Parameters([Source(write(tmp_path / "in", tensors), PEER)], SHAPES)
    message = str(caught.value)
    assert "1 tensors are missing: alpha (for gate)" in message
    assert "1 tensors have no place in the model: surprise" in message
    assert "wte is (9, 6), the model wants (11, 6) for embedding, new_rows" in message
    assert "rotary" not in message


def test_what_no_file_gives_is_an_error_too(tmp_path):
    file = write(tmp_path / "in", peer_tensors())
    with pytest.raises(WeightsError, match=r"nothing there gives 1 parameters of the model: final_norm/scale"):
        Parameters([Source(file, PEER)], SHAPES | {"final_norm/scale": (6,)})
    parameters = Parameters([Source(file, PEER)], SHAPES | {"rows": (2, 6)}, zeros={"rows": "no file has them"})
    assert parameters["rows"].shape == (2, 6) and not parameters["rows"].any()


def test_the_earlier_file_wins(tmp_path):
    """A checkpoint's own embedding table counts, not that of the language model it was trained with."""
    whole, table = peer_tensors(), RNG.normal(size=(50, 6)).astype(np.float32)
    own = {"tokens": whole["wte"][:9], "more": whole["wte"][9:]}
    checkpoint = write(tmp_path / "checkpoint", own)
    language = write(tmp_path / "language", whole | {"wte": table})
    only = WeightMap(tuple(rule for rule in OTHER.rules if rule.theirs in own))
    parameters = Parameters([Source(checkpoint, only), Source(language, PEER)], SHAPES)
    np.testing.assert_array_equal(parameters["embedding"], own["tokens"])
    reasons = {name: reason for name, _, reason in parameters.dropped}
    assert "comes from model.safetensors" in reasons["wte"]
    with pytest.raises(WeightsError, match=r"wte is \(50, 6\)"):
        Parameters([Source(language, PEER)], SHAPES)


def test_what_a_format_has_no_place_for(tmp_path):
    parameters = Parameters([Source(write(tmp_path / "in", peer_tensors()), PEER)], SHAPES)
    part = WeightMap(OTHER.rules[:-1])
    with pytest.raises(WeightsError, match="1 parameters of the model have no place in it: gate"):
        Target(parameters, part)
    assert Target(parameters, part, left=[Drop("gate", "why")]).dropped == [("gate", 4, "why")]
    with pytest.raises(WeightsError, match="1 parameters that it holds are not in the model: other"):
        Target(parameters, WeightMap((*OTHER.rules, Rule("x", ("other",), Plain()))))


def test_the_summary_counts_and_names_what_is_made_up(tmp_path):
    file = write(tmp_path / "in", peer_tensors())
    parameters = Parameters([Source(file, PEER)], SHAPES | {"rows": (2, 6)}, zeros={"rows": "no file has them"})
    constants = {"norm.weight": np.ones(6, np.float32), "norm.bias": np.zeros(6, np.float32)}
    target = Target(parameters, OTHER, left=[Drop("rows", "why")], constants=constants)
    lines = summary(parameters, target).splitlines()
    assert lines[2].split() == ["new_rows", "1", "tensors", "12", "parameters", "48", "B"]
    assert "  1 tensor (12 B; h.0.rotary): a table that is computed" in lines
    assert lines[lines.index("made up:") + 1 :] == [
        "  rows (zeros): no file has them",
        "  norm.weight (ones): transformers wants it; no output of ours depends on it",
        "  norm.bias (zeros): transformers wants it; no output of ours depends on it",
    ]


def test_types_are_kept_unless_told(tmp_path):
    tensors = peer_tensors(ml_dtypes.bfloat16, wte=RNG.normal(size=(11, 6)).astype(np.float16))
    parameters = Parameters([Source(write(tmp_path / "in", tensors), PEER)], SHAPES)
    kept = Target(parameters, OTHER)
    assert (kept.specs["tokens"].dtype, kept.specs["o"].dtype) == (np.float16, ml_dtypes.bfloat16)
    cast = Target(parameters, OTHER, np.dtype(np.float32))
    assert {spec.dtype for spec in cast.specs.values()} == {np.dtype(np.float32)}


def test_parts_of_one_tensor_that_differ_in_type_take_one_that_holds_both(tmp_path):
    rows = {"tokens": np.ones((9, 6), ml_dtypes.bfloat16), "more": np.full((2, 6), 1 / 3, np.float16)}
    shapes = {name: SHAPES[name] for name in ("embedding", "new_rows")}
    source = WeightMap(tuple(rule for rule in OTHER.rules if rule.theirs in rows))
    parameters = Parameters([Source(write(tmp_path / "in", rows), source)], shapes)
    target = Target(parameters, WeightMap(PEER.rules[:1]))
    assert target.specs["wte"].dtype == target.read("wte").dtype == np.float32
    np.testing.assert_array_equal(target.read("wte")[9:], rows["more"].astype(np.float32))


@given(st.permutations(range(len(OTHER.rules))))
def test_any_order_of_reading_gives_the_same(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("order")
    parameters = Parameters([Source(write(folder / "in", peer_tensors()), PEER)], SHAPES)
    want = {name: np.array(parameters[name]) for name in parameters}
    names = list(parameters)
    for place in order:
        np.testing.assert_array_equal(parameters[names[place]], want[names[place]])
