"""MFU and memory, against figures by hand."""

import sys
import types
from pathlib import Path

import jax
import pytest

from flamingo_jax import config as config_lib
from flamingo_jax.parallel.topology import CHIPS
from flamingo_jax.training.design import Design
from flamingo_jax.training.model_flops import model_flops
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.utilization import PEAKS, Utilization, step_flops
from tests import tiny_run


def device(kind: str, stats: dict | None = None, process: int = 0):
    return types.SimpleNamespace(device_kind=kind, memory_stats=lambda: stats, process_index=process)


def test_mfu_is_the_share_of_all_devices_peaks():
    used = Utilization({("a",): 10e15}, [device("TPU v5p")] * 4)
    # 10 PFLOP in 10 s on four devices of 459 TFLOP/s.
    assert used.rates(used.flops(("a",)), 10.0) == pytest.approx({"model_tflops_per_second": 250.0, "mfu": 250 / 459})
    assert used.rates(10e15, 0.0) == {}


def test_a_device_whose_peak_nobody_knows_has_no_mfu():
    assert Utilization({}, jax.devices()).rates(1e12, 1.0).keys() == {"model_tflops_per_second"}


@pytest.mark.parametrize(
    "kind, chip", [("TPU v4", "v4"), ("TPU v5 lite", "v5e"), ("TPU v5", "v5p"), ("TPU v6 lite", "v6e")]
)
def test_the_names_of_tpus(kind, chip):
    assert PEAKS[kind] == CHIPS[chip].peak_flops


def test_the_benchmark_knows_the_same_peaks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import gpu_step

    assert gpu_step.PEAKS is PEAKS and PEAKS["NVIDIA H200"] == 989e12
    sys.modules.pop("gpu_step")


def test_memory_is_that_of_the_fullest_local_device():
    some = [
        device("x", {"bytes_in_use": 5, "peak_bytes_in_use": 9}),
        device("x", {"bytes_in_use": 7, "peak_bytes_in_use": 8}),
        device("x", {"bytes_in_use": 99, "peak_bytes_in_use": 99}, process=1),
    ]
    assert Utilization({}, some).memory() == {"hbm_bytes_in_use": 7.0, "hbm_bytes_peak": 9.0}
    assert Utilization({}, [device("x")]).memory() == {}
    assert Utilization({}, [device("x", {"bytes_in_use": 5})]).memory() == {"hbm_bytes_in_use": 5.0}


def test_flops_of_each_kind_of_step(tmp_path):
    config = config_lib.resolve(RunConfig, [str(tiny_run.write_pairs_only(tmp_path / "tiny.gin"))], [])
    design = Design.make(config)
    ((names, batch),) = design.batches.items()
    assert step_flops(design) == {names: model_flops(config.model, design.labels, batch).total}
