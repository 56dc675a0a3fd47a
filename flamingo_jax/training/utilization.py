"""How well a run uses its devices: the model's FLOPs against what they could do, and their memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from flamingo_jax.parallel.topology import CHIPS
from flamingo_jax.training.design import Design
from flamingo_jax.training.model_flops import model_flops

# Dense products in bfloat16 with float32 accumulation, FLOPs a second, by JAX's `device_kind`. H100 SXM and H200 SXM
# (989.4e12): NVIDIA's H100 and H200 data sheets, which print the double, with sparsity. A100 (312e12, SXM and PCIe
# alike): NVIDIA's A100 data sheet. Cards of one name can differ (H100 PCIe, H200 NVL), so names are compared whole.
GPU_PEAKS = {
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
}
# The names that libtpu has given them over time (jax/experimental/mosaic/tpu and jax's own device tables); a device is
# a whole chip.
_TPU_NAMES = {
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5e": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "TPU v6e": "v6e",
}
PEAKS = GPU_PEAKS | {name: CHIPS[chip].peak_flops for name, chip in _TPU_NAMES.items()}
"""`device_kind` -> bfloat16 FLOPs a second of one device, by its vendor."""

Kind = tuple[str, ...]


class Utilization:
    """MFU and memory of the devices of a run."""

    def __init__(self, flops: Mapping[Kind, float], devices: Sequence[Any]):
        """
        Args:
          flops: names of the parts of a step's batch -> its model FLOPs (`step_flops`).
          devices: all devices of the run, of one kind.
        """
        self._flops, self._count = dict(flops), len(devices)
        self._peak = PEAKS.get(devices[0].device_kind)
        self._local = [device for device in devices if device.process_index == jax.process_index()]

    def flops(self, kind: Kind) -> float:
        """Model FLOPs of a step whose batch has these parts."""
        return self._flops[kind]

    def rates(self, flops: float, seconds: float) -> dict[str, float]:
        """Of `flops` in `seconds`, on all devices: "model_tflops_per_second" of a device, and "mfu".

        The model FLOPs are those of docs/plan.md. A device whose peak is not known has no "mfu".
        """
        if seconds <= 0:
            return {}
        rate = flops / seconds / self._count
        return {"model_tflops_per_second": rate / 1e12} | ({"mfu": rate / self._peak} if self._peak else {})

    def memory(self) -> dict[str, float]:
        """Bytes of the fullest local device: "hbm_bytes_in_use" now, "hbm_bytes_peak" so far; none if it does not say.

        What the allocator was asked for; it does not wait for what runs.
        """
        stats = [found for device in self._local if (found := device.memory_stats())]
        names = {"hbm_bytes_in_use": "bytes_in_use", "hbm_bytes_peak": "peak_bytes_in_use"}
        found = {name: [each[key] for each in stats if key in each] for name, key in names.items()}
        return {name: float(max(values)) for name, values in found.items() if values}


def step_flops(design: Design) -> dict[Kind, float]:
    """Names of the parts of a step's batch -> its model FLOPs, for each kind of step of a run."""
    found = {}
    for batch in design.batches.values():
        found[tuple(batch)] = model_flops(design.config.model, design.labels, batch).total
    return found
