"""A session on eight simulated devices answers as on one, and cuts its prompts and their cache over them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests import hasty
from tests.inference.eight_devices import DECODINGS
from tests.parallel.eight_devices import MESHES

ROOT = Path(__file__).parents[2]


def run(tiny_gin: Path, decodings: Sequence[str], *rules: str) -> dict:
    command = [sys.executable, "-m", "tests.inference.eight_devices", str(tiny_gin), ",".join(decodings), *rules]
    environment = os.environ | {"XLA_FLAGS": hasty.xla_flags(devices=8, libtpu=False)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(report: dict, rules: str) -> None:
    alone, here = report["alone"], report[rules]
    np.testing.assert_allclose(here["scores"], alone["scores"], rtol=1e-5)
    for name in alone.keys() - {"scores"}:
        assert here[name] == alone[name]
        assert len(set(here[name])) > 4  # or the comparison would say little


@pytest.mark.slow
def test_eight_devices_answer_as_one_and_share_prompts_and_cache(tiny_gin):
    report = run(tiny_gin, ["beam"], "fsdp_tensor")
    compare(report, "fsdp_tensor")
    for path, (whole, shard) in report["fsdp_tensor"]["shards"].items():
        *lead, batch, slots, heads, width = whole
        assert shard == [*lead, batch // 4, slots, heads // 2, width], path


@pytest.mark.slow
def test_so_they_do_with_every_set_of_rules_and_way_of_decoding(tiny_gin):
    report = run(tiny_gin, [*DECODINGS], *MESHES)
    for rules in MESHES:
        compare(report, rules)
