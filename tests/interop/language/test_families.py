"""The families' weight maps, both ways, and what they make of files that have more, less or other tensors."""

import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError
from flamingo_jax.interop.language.families import FAMILIES, find_family, from_hf, to_hf
from flamingo_jax.interop.weight_map import check
from flamingo_jax.models.language.decoder_config import DecoderConfig
from tests.language_goldens import CASES, golden, parameters, shapes


def specs(tensors) -> dict[str, TensorSpec]:
    return {name: TensorSpec(tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


@pytest.mark.parametrize("case", CASES)
def test_weights_in_and_out_are_the_same_bits(case):
    found = golden(case)
    weights, ours = found.weights, parameters(found.config, found.weights, found.tensors)
    assert check(case, specs(found.tensors), weights, shapes(found.config)) == {}
    assert ours.keys() == shapes(found.config).keys()
    written = found.family.weight_map(found.config, ())  # the names that are written without a file to go by
    back = {rule.theirs: rule.layout.to_theirs([ours[name] for name in rule.ours]) for rule in written.rules}
    assert back.keys() == found.tensors.keys()
    for name, tensor in found.tensors.items():
        assert back[name].dtype == tensor.dtype
        assert back[name].tobytes() == tensor.tobytes(), name


@pytest.mark.parametrize("case", CASES)
def test_config_in_and_out_is_the_same(case):
    found = golden(case)
    family, config = found.family, found.config
    assert from_hf(found.peer) == config
    data = family.to_hf(config)
    assert data["model_type"] == found.peer["model_type"]
    assert from_hf(data) == config
    assert from_hf(to_hf(config)) is not None  # some family has a form for it, this one at least


@pytest.mark.parametrize("case", CASES)
def test_the_family_is_told_by_the_names(case):
    found = golden(case)
    told = find_family(found.tensors.keys())
    # Mistral and Gemma 1 have the names of Llama; what counts is that the weight map is the right one.
    assert told.name == ("llama" if found.family.name in ("mistral", "gemma") else found.family.name)
    assert told.weight_map(found.config, found.tensors) == found.weights


@pytest.mark.parametrize(
    ("case", "prefix", "other"),
    [
        ("llama/llama3", "model.", ""),
        ("gemma3/tied", "model.", "language_model.model."),
        ("gemma3/tied", "model.", "model.language_model."),
        ("gpt_neox/parallel", "gpt_neox.", ""),
        ("opt/tied", "model.decoder.", "decoder."),
        ("mpt/alibi", "transformer.", "model.transformer."),
        ("mpt/mosaic_gpt", "transformer.", ""),
        ("gpt2/tied", "transformer.", ""),
    ],
)
def test_other_prefixes(case, prefix, other):
    found = golden(case)
    renamed = {
        other + name.removeprefix(prefix) if name.startswith(prefix) else name: tensor
        for name, tensor in found.tensors.items()
    }
    assert renamed.keys() != found.tensors.keys()
    weights = find_family(renamed).weight_map(found.config, renamed)
    expected = parameters(found.config, found.weights, found.tensors)
    for name, array in parameters(found.config, weights, renamed).items():
        np.testing.assert_array_equal(array, expected[name])


@pytest.mark.parametrize(
    ("case", "extra", "reason"),
    [
        ("llama/llama3", "model.layers.1.self_attn.rotary_emb.inv_freq", "rotary"),
        ("llama/tied", "lm_head.weight", "copy"),
        ("gpt_neox/parallel", "gpt_neox.layers.0.attention.rotary_emb.inv_freq", "rotary"),
        ("gpt_neox/parallel", "gpt_neox.layers.0.attention.bias", "mask"),
        ("gpt_neox/parallel", "gpt_neox.layers.0.attention.masked_bias", "mask"),
        ("gpt2/tied", "transformer.h.0.attn.bias", "mask"),
        ("gpt2/tied", "transformer.h.1.attn.masked_bias", "mask"),
        ("gpt2/tied", "lm_head.weight", "copy"),
        ("opt/tied", "lm_head.weight", "copy"),
        ("opt/no_bias", "model.decoder.version", "version"),
        ("mpt/alibi", "lm_head.weight", "copy"),
    ],
)
def test_what_files_hold_beside_the_weights_is_dropped(case, extra, reason):
    found = golden(case)
    tensors = found.tensors | {extra: np.zeros((3, 3), np.float32)}
    weights = found.family.weight_map(found.config, tensors)
    dropped = check(case, specs(tensors), weights, shapes(found.config))
    assert dropped.keys() == {extra}
    assert reason in dropped[extra]


def test_the_other_half_of_a_multimodal_checkpoint_is_dropped():
    found = golden("gemma3/tied")
    tensors = {f"language_model.{name}": tensor for name, tensor in found.tensors.items()}
    tensors |= {
        name: np.zeros(1)
        for name in ("vision_tower.a.weight", "multi_modal_projector.b", "language_model.lm_head.weight")
    }
    dropped = check("", specs(tensors), found.family.weight_map(found.config, tensors), shapes(found.config))
    assert len(dropped) == 3
    # A file of the language model alone has no such half.
    tensors = found.tensors | {"vision_tower.a.weight": np.zeros(1)}
    with pytest.raises(WeightsError, match="no place"):
        check("", specs(tensors), found.family.weight_map(found.config, tensors), shapes(found.config))


def test_neox_head_under_its_other_name():
    found = golden("gpt_neox/parallel")
    tensors = {name.replace("embed_out.", "lm_head."): tensor for name, tensor in found.tensors.items()}
    weights = found.family.weight_map(found.config, tensors)
    assert check("", specs(tensors), weights, shapes(found.config)) == {}


@pytest.mark.parametrize(
    "case", ["llama/biases", "gemma3/tied", "gpt_neox/parallel", "opt/tied", "mpt/alibi", "gpt2/tied"]
)
def test_files_that_do_not_fit_are_one_error(case):
    found = golden(case)
    wrong = dict(found.tensors)
    missing, misshapen = sorted(wrong)[3], next(name for name in wrong if wrong[name].ndim == 2 and "1." in name)
    del wrong[missing]
    wrong[misshapen] = wrong[misshapen][:-1]
    wrong["adapter.weight"] = np.zeros(3, np.float32)
    with pytest.raises(WeightsError) as caught:
        check("file", specs(wrong), found.family.weight_map(found.config, wrong), shapes(found.config))
    for part in (missing, misshapen, "adapter.weight", "are missing", "wrong shape", "no place"):
        assert part in str(caught.value)


def test_a_family_refuses_what_it_has_no_form_for():
    config = golden("gemma2/tied").config
    with pytest.raises(WeightsError, match=r"no llama model has .*post_norms = True \(would be False\).*softcap"):
        to_hf(config, "llama")
    with pytest.raises(WeightsError, match=r"no family 'bloom'; known: llama, mistral"):
        to_hf(config, "bloom")
    with pytest.raises(WeightsError, match="no place for layers/attention_post_norm"):
        FAMILIES["gpt2"].weight_map(config, ())
    relative = DecoderConfig(61, 8, 1, 2, 2, 4, 16, positions="relative")
    with pytest.raises(WeightsError, match="chinchilla: its weights were never published"):
        to_hf(relative, "chinchilla")
    with pytest.raises(WeightsError, match=r"no family has a form.*\n.*llama model has positions = 'relative'"):
        to_hf(relative)
    with pytest.raises(WeightsError, match="relative_key"):
        FAMILIES["llama"].weight_map(relative, ())
    with pytest.raises(WeightsError, match="never published"):
        FAMILIES["chinchilla"].weight_map(relative, ())


def test_to_hf_finds_the_family():
    for case in CASES:
        config = golden(case).config
        assert from_hf(to_hf(config)) == config, case


def test_settings_of_mpt_that_transformers_ignores_are_written_in_the_older_form_alone():
    config = golden("mpt/mosaic_gpt").config
    with pytest.raises(WeightsError, match="ALiBi maximum other than 8, norms of queries and keys: write a MosaicGPT"):
        to_hf(config, "mpt")
    assert to_hf(config)["model_type"] == "mosaic_gpt"


def test_no_language_model():
    with pytest.raises(WeightsError, match=r"no tensors of a language model.*conv\.weight"):
        find_family(["conv.weight", "conv.bias"])
    with pytest.raises(WeightsError, match=r"model_type 'bloom'.*known here \(llama"):
        from_hf({"model_type": "bloom"})
