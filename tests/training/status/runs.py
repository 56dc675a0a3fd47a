"""A workdir as a run leaves it, made up."""

import json

from etils import epath

BEGUN = 1_000_000.0


def line(step: int, **more) -> dict:
    """The metrics of a step; each takes ten seconds."""
    values = {
        "step": step,
        "time": BEGUN + 50 + 10 * step,
        "loss": 4.0,
        "loss/m3w": 3.0 - step / 1000,
        "loss/pairs": 2.0,
    }
    values |= {"learning_rate": 1e-4, "step_seconds": 9.0, "tokens_per_second": 5e5, "mfu": 0.42, "data_wait": 0.9}
    values |= {"tokens_seen": 4.5e6 * step, "images_seen": 1000.0 * step, "tokens_seen/m3w": 4e6 * step}
    values |= {"tokens_seen/pairs": 5e5 * step, "images_seen/m3w": 900.0 * step, "images_seen/pairs": 100.0 * step}
    values |= {f"gate/attention/{layer}": 0.1 * layer - 0.1 for layer in range(3)} | {"gate/dense/0": 0.5}
    return values | {"goodput": 0.9, "badput/setup": 0.06, "badput/save": 0.04, "hbm_bytes_in_use": 2.0**35} | more


def event(name: str, step: int, time: float, **facts) -> dict:
    return {"event": name, "step": step, "time": BEGUN + time, **facts}


START = event("start", 0, 0, host="host-3", pid=7, processes=4, devices=16, device_kind="TPU v4")
SPIKE = event("spike", 70, 752, message="a loss far above its running mean: loss/m3w 9.1; not applied", data_step=69)


def write(workdir: epath.Path, lines: list, steps: int = 400) -> None:
    """The files of a run with these lines; a line may be text."""
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "config.json").write_text(json.dumps({"steps": steps}))
    text = "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)
    (workdir / "metrics.jsonl").write_text(text)


def save(workdir: epath.Path, step: int, time: float, committed: bool = True) -> None:
    """A checkpoint, as far as its name and date go."""
    folder = workdir / "checkpoints" / str(step)
    folder.mkdir(parents=True)
    nanoseconds = int((BEGUN + time) * 1e9)
    (folder / "_CHECKPOINT_METADATA").write_text(json.dumps({"commit_timestamp_nsecs": nanoseconds}))
    if committed:
        (folder / "commit_success.txt").write_text("")
