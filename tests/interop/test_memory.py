"""A conversion holds one tensor at a time: its peak of memory is measured in a process of its own."""

import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from etils import epath

from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec
from flamingo_jax.interop.language import families
from flamingo_jax.interop.shapes import canonical_shapes
from flamingo_jax.models.language.decoder_config import DecoderConfig

# VmHWM rather than ru_maxrss: the latter begins with what the parent had.
PROGRAM = """
import re, sys
from flamingo_jax.interop.shapes import canonical_shapes
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.training.conversion import convert

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) * 1024

canonical_shapes(DecoderConfig(8, 8, 1, 1, 1, 8, 8))  # JAX itself
before = peak()
convert(*sys.argv[1:3], to=sys.argv[3], dtype=sys.argv[4])
print(before, peak())
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def write_checkpoint(folder, config: DecoderConfig, shard_bytes: int) -> tuple[int, int]:
    """Writes a sharded checkpoint of random tensors; returns its size and that of its largest tensor."""
    shapes, data = canonical_shapes(config), families.to_hf(config)
    weights = families.family_of(data).weight_map(config, ()).under("language_model/")
    specs = {
        rule.theirs: TensorSpec(
            rule.layout.their_shape([shapes[name] for name in rule.ours]), np.dtype(ml_dtypes.bfloat16)
        )
        for rule in weights.rules
    }
    # Bits of finite numbers, at a random place of which each tensor begins.
    bits = np.random.default_rng(0).integers(0, 1 << 14, 1 << 22, dtype=np.uint16)

    def read(name: str) -> np.ndarray:
        size = int(np.prod(specs[name].shape))
        return np.resize(np.roll(bits, len(name)), size).view(ml_dtypes.bfloat16).reshape(specs[name].shape)

    folder.mkdir()
    write_safetensors(epath.Path(folder), specs, read, shard_bytes=shard_bytes)
    (folder / "config.json").write_text(json.dumps(data))
    sizes = [spec.nbytes for spec in specs.values()]
    return sum(sizes), max(sizes)


def peak_of(*arguments) -> tuple[int, int]:
    """Bytes in memory before the conversion, and at its peak."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, peak = map(int, done.stdout.split())
    return before, peak


@pytest.mark.slow
def test_a_conversion_adds_one_tensor_and_little_more(tmp_path):
    config = DecoderConfig(16_000, 1024, 4, 16, 16, 64, 4096, tied_embeddings=False)
    total, largest = write_checkpoint(tmp_path / "in", config, 100_000_000)
    assert total > 190_000_000 and largest < 40_000_000
    before, peak = peak_of(tmp_path / "in", tmp_path / "out", "native", "")
    assert peak - before < largest + 30_000_000
    # Cast in pieces, which are as large as what the allocator keeps for itself.
    before, peak = peak_of(tmp_path / "out", tmp_path / "back", "huggingface", "float32")
    assert peak - before < largest + 100_000_000


@pytest.mark.slow
def test_several_gigabytes_take_two_more_than_the_largest_tensor(tmp_path):
    config = DecoderConfig(128_256, 4096, 6, 32, 8, 128, 14_336, tied_embeddings=False)
    total, largest = write_checkpoint(tmp_path / "in", config, 2_000_000_000)
    assert total > 4_000_000_000 and largest > 1_000_000_000
    _, peak = peak_of(tmp_path / "in", tmp_path / "native", "native", "")
    print(f"{total / 1e9:.2f} GB, the largest tensor {largest / 1e9:.2f} GB: peak {peak / 1e9:.2f} GB")
    assert peak < largest + 2_000_000_000
    _, peak = peak_of(tmp_path / "native", tmp_path / "back", "huggingface", "")
    print(f"and back: peak {peak / 1e9:.2f} GB")
    assert peak < largest + 2_000_000_000
