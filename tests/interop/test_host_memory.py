"""A host holds its own shards of the pretrained weights, and a tensor or two: measured in processes of their own."""

import json
import sys

import pytest

from flamingo_jax.models.language.decoder_config import DecoderConfig
from tests.interop.test_memory import write_checkpoint
from tests.parallel.processes import Processes

LANGUAGE = DecoderConfig(8_000, 1024, 8, 16, 16, 64, 4096, tied_embeddings=False)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def load(count: int, folder) -> list[dict]:
    with Processes(count, "tests.interop.load_program", [str(folder)]) as processes:
        ended = processes.finish(timeout=300)
    assert all(status == 0 for status, _, _ in ended), "\n".join(said for _, _, said in ended)
    return [json.loads(out.splitlines()[-1]) for _, out, _ in ended]


@pytest.mark.slow
def test_four_hosts_hold_a_quarter_each(tmp_path):
    total, largest = write_checkpoint(tmp_path / "in", LANGUAGE, 100_000_000)
    assert total > 290_000_000 and largest < 17_000_000
    (alone,) = load(1, tmp_path / "in")
    four = load(4, tmp_path / "in")
    print(f"{total / 1e6:.0f} MB: alone {alone}, of four {four}")
    assert total <= alone["held"] < 1.01 * total
    # A stack and its copy on the device, a tensor in row-major order, and pieces of it in float32.
    slack = 100_000_000
    assert alone["grown"] < total + slack
    for one in four:
        assert one["held"] < 1.01 * total / 4
        assert one["grown"] < total / 4 + slack
        assert one["fingerprint"] == alone["fingerprint"]
