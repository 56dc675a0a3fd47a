"""Our loader and one of OpenFlamingo's kind in turn on the same images: `python benchmarks/loader_ratio.py --help`.

    python benchmarks/loader_shards.py --pairs=CORPUS/pairs --output=SHARDS
    python benchmarks/loader_ratio.py --pairs=CORPUS/pairs --shards=SHARDS --peer_python=PEER/bin/python

One round is the peer, ours, the peer, ours without augmentation, each in processes of its own; other work on the
machine hits all alike, so the ratios within a round are what counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
KINDS = ("pairs", "pages")


def report(*command: str) -> dict[str, float]:
    """The line of JSON that a benchmark prints."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints each run, and the median ratios over the rounds."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in KINDS:
        flags.add_argument(f"--{kind}", help=f"a dataset of {kind}; one kind at a time")
    flags.add_argument("--shards", required=True, help="the same as shards, with a tokenizer.json")
    flags.add_argument("--peer_python", required=True, help="an interpreter that has torch, torchvision and webdataset")
    flags.add_argument("--rounds", type=int, default=4)
    flags.add_argument("--workers", type=int, default=2)
    flags.add_argument("--image_size", type=int, default=320)
    flags.add_argument("--seconds", type=float, default=12.0)
    values = flags.parse_args()
    (kind,) = (kind for kind in KINDS if getattr(values, kind))
    shared = [f"--{name}={getattr(values, name)}" for name in ("workers", "image_size", "seconds")]
    ours = [sys.executable, str(FOLDER / "loader.py"), f"--{kind}={getattr(values, kind)}", *shared]
    peer = [values.peer_python, str(FOLDER / "loader_webdataset.py"), f"--{kind}={values.shards}"]
    peer += [f"--tokenizer={values.shards}/tokenizer.json", *shared]
    speeds: dict[str, list[float]] = {"with augmentation": [], "without": []}
    costs: dict[str, list[float]] = {name: [] for name in speeds}
    for turn in range(values.rounds):
        for name, more in (("with augmentation", []), ("without", ["--no_augmentation"])):
            theirs, mine = report(*peer), report(*ours, *more)
            speeds[name].append(mine["rows_per_second"] / theirs["rows_per_second"])
            costs[name].append(theirs["cpu_ms_per_row"] / mine["cpu_ms_per_row"])
            print(f"round {turn + 1}, ours {name}: {mine}\n  peer: {theirs}\n  {speeds[name][-1]:.2f}", flush=True)
    for name in speeds:
        print(f"{name}: rows a second {told(speeds[name])}, rows a second of processor time {told(costs[name])}")


def told(ratios: list[float]) -> str:
    """The median, and the range."""
    return f"{statistics.median(ratios):.2f} times the peer's ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
