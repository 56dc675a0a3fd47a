"""What changed since a checkpoint: which kind each field is, how it is written, and what is refused."""

import dataclasses
import json

import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.training.changes import ABSENT, ALTERS, FREE, KINDS, REFUSED, Change, changes, check, describe
from flamingo_jax.training.run import RunConfig
from tests import tiny_run

MICROBATCHES = {"pairs": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunConfig:
    path = tiny_run.write_pairs_only(tmp_path_factory.mktemp("changes") / "run.gin")
    return config_lib.resolve(RunConfig, [str(path)], [])


def replace(node, field: str, value):
    """`node` with `a.b.c` of it, or of a dataset `mixture.pairs.x`, set to `value`."""
    name, _, rest = field.partition(".")
    if isinstance(node, dict):
        return node | {name: replace(node[name], rest, value) if rest else value}
    if isinstance(node, tuple):
        return tuple((key, replace(part, rest, value) if key == name else part) for key, part in node)
    return dataclasses.replace(node, **{name: replace(getattr(node, name), rest, value) if rest else value})


def kinds(before: RunConfig, after: RunConfig) -> dict[str, str]:
    return {change.path: change.kind for change in changes(config_lib.to_json(before), after)}


FIELDS = [
    ("mesh.fsdp", 2, FREE, "mesh.MeshConfig.fsdp"),
    ("mesh.moment_rules", (("batch", "data"),), FREE, "mesh.MeshConfig.moment_rules"),
    ("checkpoints.keep", 9, FREE, "checkpoints.CheckpointConfig.keep"),
    ("health.spike", "skip", ALTERS, "health.HealthConfig.spike"),
    ("health.nonfinite", "skip", FREE, "health.HealthConfig.nonfinite"),
    ("microbatches", MICROBATCHES, FREE, "run.RunConfig.microbatches['pairs']"),
    ("image_chunk", 8, FREE, "run.RunConfig.image_chunk"),
    ("compiler_options", {"xla_x": 1}, FREE, "run.RunConfig.compiler_options['xla_x']"),
    ("log_every", 7, FREE, "run.RunConfig.log_every"),
    ("steps", 77, FREE, "run.RunConfig.steps"),
    ("mixture.workers", 3, FREE, "mixture.MixtureConfig.workers"),
    ("pretrained.language", "elsewhere", FREE, "pretrained.PretrainedConfig.language"),
    ("model.dtype", "bfloat16", FREE, "flamingo.FlamingoConfig.dtype"),
    ("model.remat", "full", FREE, "flamingo.FlamingoConfig.remat"),
    ("pretrained.tokenizer", "elsewhere", ALTERS, "pretrained.PretrainedConfig.tokenizer"),
    ("optimizer.learning_rate", 1.0, ALTERS, "optimizer.OptimizerConfig.learning_rate"),
    ("optimizer.policies.resampler.weight_decay", 0.5, ALTERS, "resampler/optimizer.Policy.weight_decay"),
    ("mixture.seed", 3, ALTERS, "mixture.MixtureConfig.seed"),
    ("mixture.max_attempts", 3, ALTERS, "mixture.MixtureConfig.max_attempts"),
    ("mixture.datasets.pairs.batch_size", 8, ALTERS, "pairs/pairs.PairsConfig.batch_size"),
    ("mixture.datasets.pairs.path", "there", ALTERS, "pairs/pairs.PairsConfig.path"),
    ("mixture.datasets.pairs.augment.flip", False, ALTERS, "pairs/images.Augmentation.flip"),
    ("seed", 1, ALTERS, "run.RunConfig.seed"),
    ("loss_per", "token", ALTERS, "run.RunConfig.loss_per"),
    ("freezing", ((".*", "resampler"),), ALTERS, "run.RunConfig.freezing"),
    ("initial.path", "other", ALTERS, "initial.InitialConfig.path"),
    ("model.cross_attention.gate_init", 0.1, ALTERS, "gated_cross_attention.GatedCrossAttentionConfig.gate_init"),
    ("model.new_rows_init_std", 0.1, ALTERS, "flamingo.FlamingoConfig.new_rows_init_std"),
    ("model.num_new_tokens", 3, REFUSED, "flamingo.FlamingoConfig.num_new_tokens"),
    ("model.language.rope_theta", 5e5, REFUSED, "decoder_config.DecoderConfig.rope_theta"),
    ("model.resampler.num_latents", 8, REFUSED, "resampler.PerceiverResamplerConfig.num_latents"),
]


@pytest.mark.parametrize(("field", "value", "kind", "path"), FIELDS, ids=[field for field, *_ in FIELDS])
def test_one_field(run, field, value, kind, path):
    assert kinds(run, replace(run, field, value)) == {path: kind}
    assert kinds(replace(run, field, value), run) == {path: kind}


def test_nothing_changed(run):
    assert changes(config_lib.to_json(run), run) == []
    assert describe([]) == ""
    check([], accepted=False)


def test_the_length_of_a_run_matters_where_its_end_is_part_of_the_schedule(run):
    ending = replace(run, "optimizer.cooldown_steps", 5)
    assert kinds(ending, replace(ending, "steps", 77)) == {"run.RunConfig.steps": ALTERS}
    both = kinds(ending, replace(run, "steps", 77))  # the end that the run had begun to go for
    assert both == {"run.RunConfig.steps": ALTERS, "optimizer.OptimizerConfig.cooldown_steps": ALTERS}
    falling = replace(run, "optimizer.decay_steps", 5)
    assert kinds(falling, replace(falling, "steps", 77)) == {"run.RunConfig.steps": FREE}


def test_what_an_older_version_did_not_save_had_the_default(run):
    saved = json.loads(config_lib.to_json(run))
    for name in ("health", "initial"):
        del saved[name]
    del saved["optimizer"]["decay_steps"], saved["mixture"]["datasets"][0][1]["augment"]["flip"]
    before = json.dumps(saved)
    assert changes(before, run) == []
    now = replace(replace(run, "health.max_skips", 3), "optimizer.decay_steps", 9)
    after = {change.path: (change.before, change.after) for change in changes(before, now)}
    assert after["health.HealthConfig.max_skips"] == (10, 3)
    assert after["optimizer.OptimizerConfig.decay_steps"] == (0, 9)


def test_a_field_that_the_table_does_not_know_alters(run):
    saved = json.loads(config_lib.to_json(run))
    saved["optimizer"]["nesterov"] = True  # of another version
    saved["mystery"] = 1
    (one, other) = changes(json.dumps(saved), run)
    assert one == Change("optimizer.OptimizerConfig.nesterov", True, ABSENT, ALTERS)
    assert other == Change("run.RunConfig.mystery", 1, ABSENT, ALTERS)
    assert KINDS[-1] == (r".*", ALTERS)


def test_a_class_that_has_moved_is_the_same(run):
    saved = json.loads(config_lib.to_json(run))
    saved["checkpoints"]["_type"] = "flamingo_jax.elsewhere.CheckpointConfig"
    assert changes(json.dumps(saved), run) == []


def test_a_part_of_another_kind_is_one_change(run):
    (change,) = changes(config_lib.to_json(run), replace(run, "model.vision", run.model.resampler))
    expected = ("flamingo.FlamingoConfig.vision", "EfficientNetLiteConfig", "PerceiverResamplerConfig", REFUSED)
    assert dataclasses.astuple(change) == expected


def test_datasets_come_and_go_by_name(run):
    pairs = dict(run.mixture.datasets)["pairs"]
    two = replace(run, "mixture.datasets", (("more", pairs), ("pairs", replace(pairs, "batch_size", 2))))
    found = changes(config_lib.to_json(run), two)
    assert [(change.path, change.before, change.after) for change in found] == [
        ("mixture.MixtureConfig.datasets", ["pairs"], ["more", "pairs"]),
        ("pairs/pairs.PairsConfig.batch_size", 4, 2),
    ]
    turned = replace(two, "mixture.datasets", two.mixture.datasets[::-1])
    assert kinds(two, turned) == {"mixture.MixtureConfig.datasets": ALTERS}


def test_an_optimizer_with_other_labels_has_another_state(run):
    fewer = {name: policy for name, policy in run.optimizer.policies.items() if name != "new_tokens"}
    (change,) = changes(config_lib.to_json(run), replace(run, "optimizer.policies", fewer))
    assert (change.path, change.kind) == ("optimizer.OptimizerConfig.policies['new_tokens']", REFUSED)


def test_the_description_is_grouped_and_aligned(run):
    now = replace(replace(run, "optimizer.learning_rate", 1.0), "log_every", 5)
    now = replace(now, "loss_per", "token")
    assert describe(changes(config_lib.to_json(run), now)).splitlines() == [
        "changes what is computed:",
        "  optimizer.OptimizerConfig.learning_rate  0.003 -> 1.0",
        "  run.RunConfig.loss_per                   'sequence' -> 'token'",
        "changes only how it is computed, watched or stored:",
        "  run.RunConfig.log_every                  1 -> 5",
    ]


def test_long_values_are_shown_where_they_differ(run):
    rules = list(run.freezing)
    rules[2] = (rules[2][0], "another_label")
    (change,) = changes(config_lib.to_json(run), replace(run, "freezing", tuple(rules)))
    (_, line) = describe([change]).splitlines()
    assert "another_label" in line and "cross_attention" in line and "..." in line
    assert "vision_encoder" not in line and len(line) < 200
    far = Change("run.RunConfig.freezing", "a" * 1000, "b" * 1000, ALTERS)
    assert len(describe([far]).splitlines()[1]) < 320


def test_only_what_alters_needs_to_be_accepted(run):
    free = changes(config_lib.to_json(run), replace(run, "log_every", 5))
    check(free, accepted=False)
    altered = changes(config_lib.to_json(run), replace(replace(run, "log_every", 5), "seed", 5))
    with pytest.raises(
        ConfigError, match=r"(?s)run\.RunConfig\.seed  0 -> 5.*--accept_changes.*another workdir"
    ) as told:
        check(altered, accepted=False)
    assert "log_every" not in str(told.value)
    check(altered, accepted=True)


def test_another_model_cannot_be_accepted(run):
    found = changes(config_lib.to_json(run), replace(run, "model.num_new_tokens", 3))
    for accepted in (False, True):
        with pytest.raises(ConfigError, match=r"(?s)num_new_tokens  1 -> 3.*RunConfig\.initial") as told:
            check(found, accepted)
        assert "--accept_changes" not in str(told.value)
