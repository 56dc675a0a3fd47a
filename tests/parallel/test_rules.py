"""Sharding rules: which parameter lies where, and which rules no parameter can follow."""

import pytest
from flax import traverse_util
from jax.sharding import AbstractMesh, PartitionSpec

from flamingo_jax.config import ConfigError
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.parallel.mesh import AXES, MeshConfig
from flamingo_jax.parallel.rules import REPLICATED, batch_sharding, check_batches, param_shardings, replicated
from flamingo_jax.training.state import abstract_params
from tests import tiny

MESH = AbstractMesh((1, 2, 4, 1), AXES)  # fsdp 4
SHARDED = (*REPLICATED, ("embed", "fsdp"), ("mlp", "fsdp"))


@pytest.fixture(scope="module")
def abstract():
    return abstract_params(Flamingo(tiny.CONFIG))


def specs(abstract, rules) -> dict[str, PartitionSpec]:
    shardings = traverse_util.flatten_dict(param_shardings(abstract, MESH, rules), sep="/")
    return {path: sharding.spec for path, sharding in shardings.items()}


def test_without_rules_for_parameters_they_are_replicated(abstract):
    found = specs(abstract, REPLICATED)
    assert len(found) == len(traverse_util.flatten_dict(abstract))
    assert all(entry is None for spec in found.values() for entry in spec)


def test_rules_send_axes_to_the_mesh(abstract):
    found = specs(abstract, SHARDED)
    assert found["language_model/embedding"] == PartitionSpec(None, "fsdp")
    # One mesh axis cannot cut two axes of one array: the first that asks gets it. The layers' own axes come first.
    assert found["language_model/groups/layers/down/kernel"] == PartitionSpec(None, None, None, "fsdp")
    assert found["language_model/groups/layers/query/kernel"] == PartitionSpec(None, None, "fsdp", None, None)
    assert found["language_model/tail/gated_cross_attention/dense_in/kernel"] == PartitionSpec("fsdp", None)
    assert found["vision_encoder/stem/kernel"] == PartitionSpec(None, None, None, None)
    two = specs(abstract, (*REPLICATED, ("mlp", ("data", "fsdp"))))
    assert two["language_model/tail/layers/up/kernel"] == PartitionSpec(None, None, ("data", "fsdp"))


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (
            ("vocab", "fsdp"),
            r"axis 0 \('vocab'\) of language_model/embedding \(61, 32\) does not divide into 4 parts, as "
            r"MeshConfig\.rules has it \(mesh axes fsdp\): let these have 1 device in all, or map 'vocab' to None$",
        ),
        (
            ("kv_heads", "fsdp"),
            r"axis 3 \('kv_heads'\) of language_model/groups/layers/key/kernel .* 2 or 1 devices in",
        ),
        (("resampler_embed", ("data", "fsdp", "tensor")), None),  # 24 / 8: even
        (("new_tokens", "data"), r"axis 0 \('new_tokens'\) of language_model/new_rows \(1, 32\) .* \(mesh axes data\)"),
    ],
)
def test_an_uneven_axis_is_named_with_its_parameter(abstract, rule, named):
    if named is None:
        specs(abstract, (*REPLICATED, rule))
        return
    with pytest.raises(ConfigError, match=named):
        specs(abstract, (*REPLICATED, rule))


def test_batches_go_by_rows():
    assert batch_sharding(MESH, REPLICATED).spec == PartitionSpec(("replica", "data", "fsdp"))
    assert batch_sharding(MESH, (("batch", "data"),)).spec == PartitionSpec("data")
    assert replicated(MESH).spec == PartitionSpec()


def test_the_state_lies_as_the_rules_say_before_and_after_a_step(eight_devices):
    width, latents, path = 32, 24, "language_model/groups/gated_cross_attention/dense_in/kernel"
    # rules: parts over fsdp, over tensor, rows a device
    expected = {"fsdp": (4, 1, 1), "megatron_zero1": (1, 2, 2)}
    for rules, (fsdp, tensor, rows) in expected.items():
        report = eight_devices[rules]
        assert report["rows"] == [rows, 12]  # of 8
        assert report["after"] == report["before"]
        assert report["before"][f"params/{path}"] == [2, width // fsdp, 4 * width // tensor]
        assert report["before"]["params/resampler/latents"] == [4, latents // fsdp]
        assert report["frozen"]["language_model/embedding"] == [258 // tensor, width // fsdp]


def test_moments_lie_where_their_parameters_lie(eight_devices):
    layout = eight_devices["fsdp"]["before"]
    params = {path.removeprefix("params/"): shape for path, shape in layout.items() if path.startswith("params/")}
    for moment in ("mu", "nu"):
        found = {path.partition(f"/{moment}/")[2]: shape for path, shape in layout.items() if f"/{moment}/" in path}
        assert found == params


def test_zero1_cuts_moments_further_than_parameters(eight_devices):
    layout = eight_devices["megatron_zero1"]["before"]
    path = "language_model/groups/gated_cross_attention/dense_in/kernel"
    assert layout[f"params/{path}"] == [2, 32, 64]
    moments = [shape for name, shape in layout.items() if name.endswith(path) and not name.startswith("params/")]
    assert moments == [[2, 16, 64], [2, 16, 64]]


def test_what_would_do_are_the_largest_smaller_divisors(abstract):
    mesh = AbstractMesh((1, 1, 1, 14), AXES)  # of 24: 12, 8, 6, 4, 3, 2 and 1
    with pytest.raises(ConfigError, match=r"as MeshConfig\.moment_rules has it .* let these have 12 or 8 or 6 devices"):
        param_shardings(abstract, mesh, (("resampler_embed", "tensor"),), "MeshConfig.moment_rules")


@pytest.mark.parametrize("field", ["rules", "moment_rules"])
@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (("embd", "fsdp"), r"no axis of a parameter or activation is called 'embd'; did you mean 'embed'\?"),
        (("resampler_head", "fsdp"), r"'resampler_head'; did you mean 'resampler_heads'\?"),
        (("zzz", "fsdp"), r"'zzz'; there are embed, heads, .*activation_embed"),
        (
            ("embed", "tenzor"),
            r"the rule for 'embed' names a mesh axis that there is not, 'tenzor'; did you mean 'tensor'",
        ),
        (("embed", ("data", "q")), r"that there is not, 'q'; there are replica, data, fsdp, tensor"),
        (("batch", "dataa"), r"the rule for 'batch' .* 'dataa'; did you mean 'data'\?"),
        (("embed",), r"a rule is \(name, mesh axis\), .* got \('embed',\)"),
        ("embed", r"a rule is .* got 'embed'"),
        (("embed", 4), r"a rule is .* got \('embed', 4\)"),
        (("embed", ("data", "data")), r"a rule is .*, each axis once, .* got \('embed', \('data', 'data'\)\)"),
        ((None, "fsdp"), r"a rule is .* got \(None, 'fsdp'\)"),
    ],
)
def test_a_rule_that_would_do_nothing_is_refused(field, rule, named):
    with pytest.raises(ConfigError, match=rf"MeshConfig\.{field}: .*{named}"):
        MeshConfig(**{field: (*REPLICATED, rule)})


@pytest.mark.parametrize("name", ["batch", "image_batch"])
def test_rules_say_where_the_rows_are(name):
    others = tuple(rule for rule in REPLICATED if rule[0] != name)
    with pytest.raises(
        ConfigError, match=rf"rules has no rule for '{name}', .* add \('{name}', \('replica', 'data', 'fsd"
    ):
        MeshConfig(rules=others)
    MeshConfig(rules=(*others, (name, None)), moment_rules=(("embed", "fsdp"),))


def test_batches_that_do_not_divide_are_named():
    check_batches({"m3w": 16, "pairs": 8}, MESH, REPLICATED)
    with pytest.raises(ConfigError, match=r"a multiple of 8 on this mesh .*: pairs \(12\)"):
        check_batches({"m3w": 16, "pairs": 12}, MESH, REPLICATED)
