"""How fast, and how near to the GPU's peak, the training step runs: each attention kernel, at batches that fill it.

    launch/with_xla_flags.sh gpu_h100 python benchmarks/gpu_step.py --json=FILE
    python benchmarks/gpu_step.py --device=cpu --gin_file=SMALL --batch=1 --steps=1     to try the script itself

One process, all its GPUs. No weights or datasets are needed: the run's own step is timed on random values. The batches
keep the run's proportions: scale 1 is the smallest that does so and divides over the devices, and scales go up by
powers of two to the largest whose program fits the memory. benchmarks/README.md says what the figures mean.

Exit status: 0 if every kernel was timed; 2 for a mistake in the configuration; 3 if a kernel's step does not fit the
memory, at scale 1 or at that of --batch; 4 if there is no such device, and nothing was measured.
"""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

# As in launch/xla_flags/gpu_h100.env, whose reason holds here too; JAX reads it when it first meets a GPU.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.9")

import jax
import jaxlib
from gpu_step_kernels import Kernels, Row, Tried
from gpu_step_peak import SECONDS, Peak, measure_peak, products
from gpu_step_timing import bytes_limit

from flamingo_jax import config
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.utilization import PEAKS

DOES_NOT_FIT, NO_DEVICE = 3, 4
PLATFORMS = {"gpu": "cuda,cpu", "cpu": "cpu"}
KERNELS = {"gpu": "xla,cudnn", "cpu": "xla"}
RUN = "gin/runs/flamingo_3b_h100.gin"
GIB = 2**30


def main() -> int:
    """Flags to lines, and a file."""
    values = _flags().parse_args()
    jax.config.update("jax_platforms", PLATFORMS[values.device])
    try:
        devices = jax.local_devices(backend=values.device)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        print(
            f"no {values.device.upper()} is at hand, so nothing was measured: run this on a machine with an NVIDIA "
            f"GPU, in an environment with `pip install 'flamingo-jax[cuda]'` (JAX says: {reason})",
            file=sys.stderr,
        )
        return NO_DEVICE
    try:
        return measure(values, devices)
    except (config.ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def measure(values: argparse.Namespace, devices: list[jax.Device]) -> int:
    """All measurements, printed and written as they come, so that none is lost; returns the exit status."""
    run = config.resolve(RunConfig, values.gin_file or [RUN], values.gin)
    names = list(dict.fromkeys((values.attention or KERNELS[values.device]).split(",")))
    limit = bytes_limit(devices) if values.memory_gib is None else int(values.memory_gib * GIB)
    if limit is None and values.batch is None:
        raise config.ConfigError(f"{devices[0]} does not say how much memory it has: give --batch or --memory_gib")
    kernels, rows, scales = Kernels(run, names, devices, limit), [], {}
    language, kind = run.model.language, devices[0].device_kind
    shapes = products(values.device, language.width, language.hidden_width)
    peak, vendor = measure_peak(devices[0], shapes, SECONDS[values.device]), PEAKS.get(kind)

    def say(line: str) -> None:
        print(line, flush=True)
        if values.json:
            found = surroundings(values, devices) | {
                "memory_limit": limit,
                "peak": dataclasses.asdict(peak),
                "vendor_peak": vendor,
                "tried": [dataclasses.asdict(each) for each in kernels.tried],
                "steps": [dataclasses.asdict(row) | figures(row, peak, vendor, len(devices)) for row in rows],
            }
            _write(Path(values.json), json.dumps(found, indent=1) + "\n")

    def time(name: str, scale: int) -> None:
        for row in kernels.time(name, scale, values.steps):
            rows.append(row)
            say(row_line(row, peak, vendor, len(devices)))

    kernels.report = lambda tried: say(tried_line(tried))
    say(f"{len(devices)} x {kind}: {peak.flops / 1e12:,.2f} bf16 TFLOP/s measured ({peak.product})")
    for name in names:
        scales[name] = kernels.fits(name, values.batch) if values.batch else kernels.largest(name)
        if scales[name]:
            time(name, scales[name])
    for name, scale in shared(scales):
        time(name, scale)
    return 0 if all(scales.values()) and all(row.timing for row in rows) else DOES_NOT_FIT


def shared(scales: dict[str, int]) -> list[tuple[str, int]]:
    """What is left to time, so that all kernels that run at all are timed at one scale that all can do."""
    able = {name: scale for name, scale in scales.items() if scale}
    smallest = min(able.values(), default=0)
    return [(name, smallest) for name, scale in able.items() if scale > smallest]


def surroundings(values: argparse.Namespace, devices: list[jax.Device]) -> dict[str, Any]:
    """What was measured, and with what."""
    return {
        "gin_file": values.gin_file or [RUN],
        "gin": values.gin,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "platform": devices[0].client.platform_version,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "device": devices[0].device_kind,
        "devices": len(devices),
    }


def figures(row: Row, peak: Peak, vendor: float | None, devices: int) -> dict[str, Any]:
    """What follows from a row: None where the step did not run, or the vendor's peak is not known."""
    names = ("step_seconds", "tokens_per_second", "images_per_second", "mfu", "mfu_vendor")
    if row.timing is None:
        return dict.fromkeys(names)
    median = row.timing.median
    rate = row.model_flops / median / devices
    per_second = (row.tokens / median, row.images / median)
    return dict(zip(names, (median, *per_second, rate / peak.flops, vendor and rate / vendor), strict=True))


def tried_line(tried: Tried) -> str:
    """One program, as it was compiled."""
    verdict = "fits" if tried.fits else "does not fit"
    needed = "more than there is" if tried.needed is None else f"{tried.needed / GIB:,.2f} GiB"
    return f"{tried.attention}, scale {tried.scale}: {needed}, {verdict}; compiled in {tried.compile_seconds:.1f} s"


def row_line(row: Row, peak: Peak, vendor: float | None, devices: int) -> str:
    """One measurement, for people."""
    batches = ", ".join(f"{name} {size}" for name, size in row.rows.items())
    title = f"{row.attention}, scale {row.scale} ({batches})"
    if row.timing is None:
        return f"{title}: out of memory, although its program fits"
    found, seconds = figures(row, peak, vendor, devices), row.timing.seconds
    mfu = f"MFU {found['mfu']:.3f} of the measured peak"
    if vendor:
        mfu += f", {found['mfu_vendor']:.3f} of the vendor's"
    held = f"; peak {row.timing.peak_bytes / GIB:,.2f} GiB" if row.timing.peak_bytes else ""
    return (
        f"{title}: {found['step_seconds']:.4f} s a step ({min(seconds):.4f} to {max(seconds):.4f}), "
        f"{found['tokens_per_second']:,.0f} tokens/s, {found['images_per_second']:,.1f} images/s, {mfu}{held}"
    )


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def _flags() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--gin_file", action="append", help=f"of the run; may be repeated (default: {RUN})")
    flags.add_argument("--gin", action="append", default=[], help="a binding after the files; may be repeated")
    flags.add_argument("--device", choices=PLATFORMS, default="gpu")
    flags.add_argument("--attention", help="kernels, with commas (default: xla,cudnn; on CPUs xla)")
    flags.add_argument("--batch", type=_positive, help="the one scale to time (default: the largest that fits)")
    flags.add_argument("--steps", type=_positive, default=10, help="to time, after two that are not (default: 10)")
    flags.add_argument("--memory_gib", type=float, help="of a device, to fill (default: what JAX may use of it)")
    flags.add_argument("--json", help="file to write the figures to")
    return flags


if __name__ == "__main__":
    sys.exit(main())
