"""Whole OpenFlamingo models against the peer's own code, and its checkpoints read and written."""

import dataclasses

import numpy as np
import pytest

from flamingo_jax.interop.conversion import Parameters, Source, Target
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.files.torch_writer import write_torch
from flamingo_jax.interop.language.families import from_hf
from flamingo_jax.interop.weight_map import Drop, check
from flamingo_jax.interop.whole import openflamingo
from flamingo_jax.models.vision.efficientnet import BlockGroup, EfficientNetLiteConfig
from flamingo_jax.models.vision.vit import ViTConfig
from tests.interop.whole.openflamingo_golden import load
from tests.interop.whole.support import MemoryFile, preset, relative_error, shapes

HOSTS = ("llama", "mpt", "neox", "opt")
FROZEN = (Drop(r"vision_encoder/.*|language_model/(layers/.*|final_norm/.*|position_embedding)", "frozen"),)
EVERY = {"llama": 2, "mpt": 1, "neox": 2, "opt": 3}


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """The same names, types, shapes and numbers, bit for bit."""
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype
        np.testing.assert_array_equal(ours[name], array, err_msg=name)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("host", HOSTS)
def test_logits(host, side):
    ours, theirs = load(host).logits(*load(host).read_whole(), side)
    assert relative_error(ours, theirs) < 1e-4
    assert len(ours) == 8 + 10 + 14  # the rows of no image, of one after some text, and of three


@pytest.mark.parametrize("host", HOSTS)
def test_a_release_and_its_parts_are_the_whole_model(host):
    config, parameters = load(host).read_release(load(host).released)
    whole_config, whole = load(host).read_whole()
    assert config == whole_config
    if host == "llama":  # whose output rows of new tokens no release holds
        assert not parameters["language_model/new_output_rows"].any()
        assert whole["language_model/new_output_rows"].any()
        whole["language_model/new_output_rows"] = parameters["language_model/new_output_rows"]
    assert_same(parameters, whole)


def test_output_rows_that_a_release_lacks_give_zeros():
    mine = load("llama")
    config, parameters = mine.read_release(mine.released)
    ours, theirs = mine.logits(config, parameters, "left")
    old = config.language.vocab_size
    assert relative_error(ours[:, :old], theirs[:, :old]) < 1e-4
    assert not ours[:, old:].any()
    (reason,) = openflamingo.zeros(config, mine.released).values()
    assert "cannot be recovered" in reason
    for host in ("mpt", "neox", "opt"):
        assert not openflamingo.zeros(load(host).derive(load(host).released), load(host).released)


@pytest.mark.parametrize("host", HOSTS)
def test_derived_config(host):
    config = load(host).derive(load(host).released)
    every, new = EVERY[host], load(host).config["new_tokens"]
    assert (config.cross_attention_every, config.cross_attention_first) == (every, every - 1)
    assert (config.language.vocab_size, config.num_new_tokens) == (load(host).config["rows"] - new, new)
    assert (config.resampler.num_layers, config.resampler.num_latents, config.resampler.head_dim) == (2, 4, 4)
    assert (config.vision.output, config.vision.post_norm) == ("patches", False)


def published(layers: str, width: int, num_layers: int, every: int, tables: list[str]) -> dict[str, TensorSpec]:
    """Names and shapes of a published checkpoint, as `tables` and blocks beside the resampler that all have."""
    norm, rows = ("weight", "bias"), 50_280
    shapes = {"perceiver.latents": (64, 1024), **{f"perceiver.norm.{name}": (1024,) for name in norm}}
    for layer in (f"perceiver.layers.{i}." for i in range(6)):
        for part in ("0.norm_media", "0.norm_latents", "1.0"):
            shapes |= {f"{layer}{part}.{name}": (1024,) for name in norm}
        shapes |= {f"{layer}0.to_q.weight": (512, 1024), f"{layer}0.to_kv.weight": (1024, 1024)}
        shapes |= {f"{layer}0.to_out.weight": (1024, 512)}
        shapes |= {f"{layer}1.1.weight": (4096, 1024), f"{layer}1.3.weight": (1024, 4096)}
    for index in range(every - 1, num_layers, every):
        block = f"lang_encoder.{layers}.{index}.gated_cross_attn_layer."
        for part in ("attn.norm", "ff.0"):
            shapes |= {f"{block}{part}.{name}": (width,) for name in norm}
        shapes |= {f"{block}attn_gate": (1,), f"{block}ff_gate": (1,)}
        shapes |= {f"{block}attn.to_q.weight": (512, width), f"{block}attn.to_kv.weight": (1024, 1024)}
        shapes |= {f"{block}attn.to_out.weight": (width, 512)}
        shapes |= {f"{block}ff.1.weight": (4 * width, width), f"{block}ff.3.weight": (width, 4 * width)}
    shapes |= {f"lang_encoder.{table}.weight": (rows, width) for table in tables}
    return {name: TensorSpec(shape, np.dtype(np.float32)) for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("language", "layout"),
    [
        (
            {"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "vocab_size": 50_432},
            ("transformer.blocks", 4096, 32, 4, ["transformer.wte"]),
        ),
        (
            {
                "model_type": "gpt_neox",
                "hidden_size": 2560,
                "num_attention_heads": 32,
                "num_hidden_layers": 32,
                "intermediate_size": 10_240,
                "rotary_pct": 1.0,
                "use_parallel_residual": False,
                "vocab_size": 50_432,
            },
            ("gpt_neox.layers", 2560, 32, 2, ["gpt_neox.embed_in", "embed_out"]),
        ),
    ],
    ids=["9B", "4B"],
)
def test_published_sizes(language, layout):
    specs = published(*layout)
    config = openflamingo.derive(specs, from_hf(language), ViTConfig())
    assert (config.language.vocab_size, config.num_new_tokens) == (50_277, 3)
    assert (config.resampler.num_heads, config.resampler.head_dim, config.resampler.num_latents) == (8, 64, 64)
    assert not check("checkpoint.pt", specs, openflamingo.weight_map(config, specs), shapes(config))
    openflamingo.check_export(config)
    assert not openflamingo.export_remarks(config)


@pytest.mark.parametrize("name", ["openflamingo_3b", "openflamingo_4b", "openflamingo_9b"])
def test_presets_are_openflamingo(name):
    config = preset(name)
    openflamingo.check_export(config)
    assert not openflamingo.export_remarks(config)


def test_sizes_that_the_factory_of_openflamingo_does_not_build_are_told():
    config = load("llama").derive(load("llama").released)
    remarks = openflamingo.export_remarks(config)
    assert len(remarks) == 4
    assert "PerceiverResampler with depth=2 before loading (its own value: 6)" in remarks[0]
    assert "GatedCrossAttentionBlock with dim_head=4" in remarks[-1]


@pytest.mark.parametrize(("told", "vocab_size", "split"), [(2, 37, (38, 2)), (0, 37, (37, 3)), (0, 90, (37, 3))])
def test_number_of_new_tokens(told, vocab_size, split):
    mine = load("llama")
    language = dataclasses.replace(mine.language, vocab_size=vocab_size)
    config = openflamingo.derive(mine.released.specs, language, mine.vision, told)
    assert (config.language.vocab_size, config.num_new_tokens) == split


@pytest.mark.parametrize("host", HOSTS)
def test_out_and_in_again_is_bit_identical(host, tmp_path):
    config, parameters = load(host).read_whole()
    openflamingo.check_export(config)
    source = Parameters(
        [
            Source(
                load(host).full,
                openflamingo.weight_map(config, load(host).full, **openflamingo.parts_in(config, load(host).full)),
            )
        ],
        shapes(config),
    )
    target = Target(source, openflamingo.weight_map(config), left=FROZEN)
    write_torch(tmp_path / "checkpoint.pt", target.specs, target.read)
    with open_tensors(tmp_path / "checkpoint.pt") as file:
        written = {name: file[name] for name in file}
        assert (
            openflamingo.derive({name: file.spec(name) for name in file}, load(host).language, load(host).vision)
            == config
        )
    again_config, again = load(host).read_release(MemoryFile(written))
    assert again_config == config
    assert_same(again, parameters)
    # The peer's own names and numbers: all that it saves but for what is frozen, and the head of LLaMA beside.
    released = dict(load(host).released)
    frozen = {name for name in released if "embed_positions" in name or (host != "neox" and "lm_head" in name)}
    head = {"lang_encoder.lm_head.weight"} if host == "llama" else set()
    assert written.keys() == (released.keys() - frozen) | head
    for name in written.keys() - head:
        np.testing.assert_array_equal(written[name], released[name], err_msg=name)


WRAPPINGS = {
    "module": lambda name: f"module.{name}",
    "trainer": lambda name: f"model_state_dict.module.{name}",
    "activation checkpoints": lambda name: name.replace(
        "gated_cross_attn_layer.", "gated_cross_attn_layer._checkpoint_wrapped_module."
    ),
    "blocks alone": lambda name: name.replace("model.layers", "gated_cross_attn_layers").replace(
        "gated_cross_attn_layer.", ""
    ),
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_names_of_wrapped_models(wrapping):
    mine = load("llama")
    wrapped = {WRAPPINGS[wrapping](name): tensor for name, tensor in mine.released.items()}
    assert wrapped.keys() != mine.released.keys()
    if wrapping == "trainer":
        wrapped |= {"optimizer_state_dict.state.perceiver.latents.exp_avg": np.zeros((4, 16), np.float32)}
    assert openflamingo.is_openflamingo(wrapped)
    config, parameters = mine.read_release(MemoryFile(wrapped))
    expected_config, expected = mine.read_release(mine.released)
    assert config == expected_config
    assert_same(parameters, expected)


def test_embeddings_of_frames():
    """The peer's resampler can have them; no release has."""
    mine, frames = load("llama"), np.arange(48, dtype=np.float32).reshape(3, 16)
    config, parameters = mine.read_release(MemoryFile(dict(mine.released) | {"perceiver.frame_embs": frames}))
    assert config.resampler.max_frames == 3
    np.testing.assert_array_equal(parameters["resampler/time_embedding"], frames)
    assert any("max_num_frames=3" in remark for remark in openflamingo.export_remarks(config))


def test_what_is_dropped_and_why():
    mine = load("mpt")
    config = mine.derive(mine.full)
    extra = dict(mine.full) | {
        "lang_encoder.transformer.blocks.0.decoder_layer.attn.rotary_emb.inv_freq": np.zeros(3, np.float32),
        "lr_scheduler_state_dict.last_epoch": np.zeros((), np.int64),
    }
    file = MemoryFile(extra)

    def reasons(**parts):
        weights = openflamingo.weight_map(config, file, **parts)
        wanted = {name: shapes(config)[name] for rule in weights.rules for name in rule.ours}
        return {drop.name: drop.reason for drop in Parameters([Source(file, weights)], wanted).dropped}

    whole = reasons(**openflamingo.parts_in(config, file))
    assert whole["lang_encoder.lm_head.weight"] == "the same table as the embeddings: they are tied"
    copy = "lang_encoder.old_decoder_blocks.2.attn.Wqkv.weight"
    assert whole[copy] == "a second copy: it is read from below lang_encoder.transformer.blocks"
    assert whole["lang_encoder.transformer.blocks.0.decoder_layer.attn.rotary_emb.inv_freq"].startswith("a constant")
    assert "optimizer" in whole["lr_scheduler_state_dict.last_epoch"]
    assert "post_norm" in whole["vision_encoder.ln_post.weight"]
    assert "lang_encoder.transformer.norm_f.weight" not in whole
    parts = reasons()
    assert parts["lang_encoder.transformer.norm_f.weight"].startswith("frozen: the language model's own")
    assert parts["vision_encoder.conv1.weight"].startswith("frozen: the vision encoder's own")


def test_missing_unknown_and_misshapen_tensors_are_named():
    mine = load("llama")
    tensors = dict(mine.released)
    block = "lang_encoder.model.layers.1.gated_cross_attn_layer"
    del tensors[f"{block}.ff.1.weight"], tensors["perceiver.norm.bias"]
    tensors[f"{block}.ff.3.bias"] = tensors["perceiver.media_time_embs"] = np.zeros(3, np.float32)
    tensors["lang_encoder.model.layers.3.gated_cross_attn_layer.attn.to_kv.weight"] = np.zeros((64, 15), np.float32)
    config = mine.derive(mine.released)
    with pytest.raises(WeightsError) as error:
        Parameters([Source(MemoryFile(tensors), openflamingo.weight_map(config, tensors))], shapes(config))
    message = str(error.value)
    assert "2 tensors are missing" in message and f"{block}.ff.1.weight" in message and "perceiver.norm.bias" in message
    assert "2 tensors have no place" in message and "perceiver.media_time_embs" in message
    assert "1 tensors have the wrong shape" in message and "to_kv.weight is (64, 15)" in message
    with pytest.raises(WeightsError, match=r"no lang_encoder\.model\.layers\.1\.gated_cross_attn_layer\.ff\.1\.weight"):
        mine.derive(MemoryFile(tensors))


@pytest.mark.parametrize(
    ("language", "vision", "message"),
    [
        ({"width": 32}, {}, "language model of width 24, this one has 32"),
        ({"num_layers": 6}, {}, r"before the layers \[1, 3\] of a language model that is said to have 6"),
        ({}, {"width": 32}, "vision encoder of width 16, this one has 32"),
    ],
)
def test_parts_that_do_not_belong_to_a_checkpoint(language, vision, message):
    mine = load("llama")
    language = dataclasses.replace(mine.language, **language)
    vision = dataclasses.replace(mine.vision, **vision)
    with pytest.raises(WeightsError, match=message):
        openflamingo.derive(mine.released.specs, language, vision)


def test_other_files_are_no_openflamingo():
    mine = load("llama")
    assert not openflamingo.is_openflamingo(mine.base)
    with pytest.raises(WeightsError, match="no checkpoint of OpenFlamingo"):
        mine.derive(mine.base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cross_attention_first": 0}, "cross_attention_first is 0 .OpenFlamingo: 1."),
        ({"image_tokens": (), "num_new_tokens": 1}, r"num_new_tokens is 1.*image_tokens is \(\)"),
        ({"project_visual": True}, "project_visual is True"),
        (
            {"resampler.activation": "squared_relu", "resampler.num_heads": 4},
            "activation is 'squared_relu'.*num_heads is 4",
        ),
        ({"cross_attention.normalize_media": True}, "cross_attention.normalize_media is True"),
        ({"vision.post_norm": True}, "vision.post_norm is True"),
        ({"cross_attention_every": 0, "cross_attention_first": 0, "grafted_layers": 2}, "grafted_layers is 2"),
        ({"language.positions": "relative"}, "no language model with relative positions"),
    ],
)
def test_models_that_openflamingo_cannot_hold_are_refused(changes, message):
    config = load("llama").derive(load("llama").released)
    openflamingo.check_export(config)
    openflamingo.check_export(dataclasses.replace(config, new_rows_init_std=1.0, dtype="bfloat16"))
    for path, value in changes.items():
        part, _, field = path.rpartition(".")
        change = {field: value}
        if part:
            change = {part: dataclasses.replace(getattr(config, part), **change)}
        config = dataclasses.replace(config, **change)
    with pytest.raises(WeightsError, match=message):
        openflamingo.check_export(config)


def test_the_features_of_other_encoders_than_clip_are_taken_after_their_last_norm():
    mine = load("llama")
    vision = dataclasses.replace(mine.vision, pre_norm=False, post_norm=True, layer_scale=True, output="all")
    config = openflamingo.derive(mine.released.specs, mine.language, vision)
    assert config.vision == dataclasses.replace(vision, output="patches")
    openflamingo.check_export(config)


def test_an_encoder_that_is_no_transformer_is_taken_as_it_is():
    mine = load("llama")
    vision = EfficientNetLiteConfig(8, (BlockGroup(1, 3, 1, 1, 8),), 16)
    assert openflamingo.derive(mine.released.specs, mine.language, vision).vision == vision
