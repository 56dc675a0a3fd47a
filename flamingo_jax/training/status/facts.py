"""A run at a glance, as plain values: gathered from the files of its workdir, none of which need be there or whole."""

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.html.figures import finite
from flamingo_jax.training import lease as lease_lib
from flamingo_jax.training.history import History, Record, read_history
from flamingo_jax.training.status import saved
from flamingo_jax.training.status.life import RUNNING, life, read_lease
from flamingo_jax.training.status.spent import spent

WINDOW = 50
"""Logged steps that smoothed losses are means of."""

_RECENT = 10  # logged steps that speeds are medians of
_EVENTS = 8
_ORDINARY = ("saved", "compiled", "start")
_MARKS = ("config.json", "metrics.jsonl", "checkpoints", lease_lib.FILE)


def facts(workdir: epath.Path, now: float | None = None) -> dict[str, Any]:
    """What is known of the run in `workdir`; see docs/runs.md for the keys. Values are null where nothing is known.

    Args:
      workdir: local or gs://; nothing in it is changed.
      now: seconds since 1970; the present by default.

    Raises:
      FileNotFoundError: it is not the folder of a run.
      OSError: it cannot be read.
    """
    now = time.time() if now is None else now
    if not any((workdir / name).exists() for name in _MARKS):
        missing = "there is no such folder" if not workdir.exists() else f"it has none of {', '.join(_MARKS)}"
        raise FileNotFoundError(f"{workdir} is not the workdir of a run: {missing}")
    history = read_history(workdir / "metrics.jsonl")
    lines = history.lines
    steps = finite(_config(workdir).get("steps"))
    steps = int(steps) if steps is not None else None
    lived = life(history, steps, read_lease(workdir / lease_lib.FILE, now), now)
    last = lines[-1] if lines else None
    pace = _pace(history, lines)
    found = {
        "workdir": str(workdir),
        "state": lived.state,
        "why": lived.why,
        "step": last.step if last else None,
        "steps": steps,
        "logged_seconds_ago": _ago(last, now),
        "seconds_left": finite((steps - last.step) * pace)
        if lived.state == RUNNING and steps and last and pace
        else None,
        "loss": _losses(lines),
    }
    found |= {name: last.number(name) if last else None for name in ("learning_rate", "tokens_seen", "images_seen")}
    found["seen"] = _seen(last)
    found |= _speeds(lines[-_RECENT:])
    found["goodput"] = _goodput(history)
    found["checkpoints"] = [
        {"step": each.step, "seconds_ago": now - each.time if each.time else None}
        for each in saved.checkpoints(workdir)
    ]
    found["damaged"] = saved.damaged(workdir)
    found["gates"] = _gates(last)
    found["devices"] = _devices(history.events)
    names = [event.event for event in history.events]
    found["counts"] = {name: names.count(name) for name in sorted(set(names))}
    found["events"] = [_event(event, now) for event in history.events if event.event not in _ORDINARY][-_EVENTS:]
    found["malformed_lines"] = len(history.malformed)
    return found


def _config(workdir: epath.Path) -> dict[str, Any]:
    try:
        content = json.loads((workdir / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _ago(record: Record | None, now: float) -> float | None:
    return None if record is None or record.time is None else max(0.0, now - record.time)


def _pace(history: History, lines: Sequence[Record]) -> float | None:
    """Seconds of wall time for an update, saving and all, since the run last started or went back."""
    turns = [event.time or 0.0 for event in history.events if event.event in ("start", "resume", "rollback")]
    begun = max(turns, default=0.0)
    timed = [line for line in lines[-100:] if line.time is not None and line.time >= begun][1:]  # the first compiles
    if len(timed) > 1:
        return (timed[-1].time - timed[0].time) / (timed[-1].step - timed[0].step)
    return lines[-1].number("step_seconds") if lines else None


def _losses(lines: Sequence[Record]) -> dict[str, dict[str, float | None]]:
    """ "loss" and "loss/<dataset>" -> the latest value, the mean of the last ones, and what that changed by before."""
    names = dict.fromkeys(name for line in lines[-2 * WINDOW :] for name in line.values if name.startswith("loss"))
    found = {}
    for name in sorted(names, key=lambda name: (name != "loss", name)):
        values = [value for line in lines[-8 * WINDOW :] if (value := line.number(name)) is not None]
        if not values:
            continue
        size = min(WINDOW, max(1, len(values) // 2))
        mean, before = float(np.mean(values[-size:])), values[-2 * size : -size]
        found[name] = {
            "latest": values[-1],
            "mean": mean,
            "change": mean - float(np.mean(before)) if before else None,
            "window": size,
        }
    return found


def _seen(last: Record | None) -> dict[str, dict[str, float]]:
    """Dataset -> "tokens" and "images" that went into updates."""
    found: dict[str, dict[str, float]] = {}
    for name in last.values if last else ():
        for what in ("tokens", "images"):
            dataset = name.removeprefix(f"{what}_seen/")
            if dataset != name and (value := last.number(name)) is not None:
                found.setdefault(dataset, {})[what] = value
    return found


def _speeds(lines: Sequence[Record]) -> dict[str, float | None]:
    def usual(name: str) -> float | None:
        values = [value for line in lines if (value := line.number(name)) is not None]
        return float(np.median(values)) if values else None

    names = (
        "step_seconds",
        "tokens_per_second",
        "mfu",
        "model_tflops_per_second",
        "hbm_bytes_in_use",
        "hbm_bytes_peak",
    )
    found = {name: usual(name) for name in names}
    waits = [
        wait / seconds
        for line in lines
        if (wait := line.number("data_wait")) is not None and (seconds := line.number("step_seconds"))
    ]
    return found | {"data_wait_share": float(np.median(waits)) if waits else None}


def _goodput(history: History) -> dict[str, Any] | None:
    total = spent(history.records)
    if total is None:
        return None
    lost = dict(sorted(((name, seconds / total.seconds) for name, seconds in total.lost.items()), key=lambda x: -x[1]))
    return {"share": total.goodput, "seconds": total.seconds, "lost": lost}


def _gates(last: Record | None) -> dict[str, dict[str, float]]:
    """Branch -> the smallest and the largest gate."""
    found: dict[str, list[float]] = {}
    for name in last.values if last else ():
        family, _, rest = name.partition("/")
        if family == "gate" and (value := last.number(name)) is not None:
            found.setdefault(rest.rpartition("/")[0], []).append(value)
    return {branch: {"least": min(values), "most": max(values)} for branch, values in found.items()}


def _devices(events: Sequence[Record]) -> dict[str, Any] | None:
    start = next((event for event in reversed(events) if event.event == "start"), None)
    return None if start is None else dict(start.values)


def _event(event: Record, now: float) -> dict[str, Any]:
    message = event.values.get("message") or event.values.get("reason") or ""
    to, data_step = event.goes_back_to, event.number("data_step")
    if event.event == "rollback" and to is not None and data_step is not None:
        message = f"back to step {to:,}, on with data step {int(data_step):,}"
    return {"event": event.event, "step": event.step, "seconds_ago": _ago(event, now), "message": str(message)}
