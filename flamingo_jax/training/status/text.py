"""A run at a glance, for a terminal."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from flamingo_jax.html.figures import amount, count, duration, number, percent, shorten, signed

WIDTH = 96
_BAR, _LABEL = 40, 13
_GIB = 2**30
_NEGLIGIBLE = 5e-4  # of the time


def render(facts: Mapping[str, Any]) -> str:
    """The facts as lines of at most `WIDTH` characters; what is not known is left out."""
    rows = [
        ("", _progress(facts)),
        ("loss", _losses(facts["loss"])),
        ("learning rate", _one(facts["learning_rate"], number)),
        ("seen", _seen(facts)),
        ("speed", _joined(_speed(facts))),
        ("devices", _devices(facts)),
        ("goodput", _goodput(facts["goodput"])),
        ("checkpoints", _checkpoints(facts)),
        ("gates", _joined(f"{name} {_range(gate)}" for name, gate in facts["gates"].items())),
        ("happened", _joined(_counts(facts["counts"]))),
        ("last events", _events(facts["events"])),
    ]
    head = f"{facts['workdir']}: {facts['state']}" + (f" ({facts['why']})" if facts["why"] else "")
    lines = textwrap.wrap(_plain(head), WIDTH, subsequent_indent="  ")
    for label, told in rows:
        for place, line in enumerate(told):
            lines.append(f"{label if not place else '':<{_LABEL}}  {line}".rstrip()[:WIDTH])
    if facts["malformed_lines"]:
        lines.append(f"{'':<{_LABEL}}  metrics.jsonl: {facts['malformed_lines']} lines could not be read")
    return "\n".join(lines)


def _progress(facts: Mapping[str, Any]) -> list[str]:
    step, steps = facts["step"], facts["steps"]
    if step is None:
        return ["no step is logged yet"]
    logged = facts["logged_seconds_ago"]
    ago = f", logged {duration(logged)} ago" if logged is not None else ""
    if not steps:
        return [f"step {step:,}{ago}"]
    done = min(1.0, step / steps)
    bar = "#" * int(_BAR * done)
    left = f", about {duration(facts['seconds_left'])} left" if facts["seconds_left"] else ""
    return [f"[{bar:.<{_BAR}}] {percent(done)}", f"step {step:,} of {steps:,}{ago}{left}"]


def _losses(losses: Mapping[str, Mapping[str, float]]) -> list[str]:
    if not losses:
        return []
    window = max(loss["window"] for loss in losses.values())
    lines = [f"{'':<24}{'latest':>10}{f'mean of {window}':>14}{'change':>10}"]
    for name, loss in losses.items():
        change = signed(loss["change"], 3) if loss["change"] is not None else ""
        label = shorten(_plain(name.removeprefix("loss/") if "/" in name else "weighted sum"), 23)
        lines.append(f"{label:<24}{number(loss['latest'], 4):>10}{number(loss['mean'], 4):>14}{change:>10}".rstrip())
    return lines


def _seen(facts: Mapping[str, Any]) -> list[str]:
    totals = [(facts["tokens_seen"], "tokens"), (facts["images_seen"], "images")]
    lines = _joined(f"{_large(value)} {what}" for value, what in totals if value is not None)
    if len(facts["seen"]) < 2:
        return lines
    parts = (
        f"{_plain(name)} {' and '.join(f'{_large(value)} {what}' for what, value in seen.items())}"
        for name, seen in facts["seen"].items()
    )
    return lines + _joined(parts)


def _speed(facts: Mapping[str, Any]) -> Iterator[str]:
    told = (
        ("step_seconds", lambda value: f"{number(value)} s a step"),
        ("tokens_per_second", lambda value: f"{number(value, 4)} tokens/s"),
        ("mfu", lambda value: f"MFU {percent(value)}"),
        ("model_tflops_per_second", lambda value: f"{number(value)} model TFLOP/s a device"),
        ("data_wait_share", lambda value: f"waits for data {percent(value)} of a step"),
        ("hbm_bytes_in_use", lambda value: f"memory {value / _GIB:.1f} GiB"),
        ("hbm_bytes_peak", lambda value: f"at most {value / _GIB:.1f} GiB"),
    )
    for name, tell in told:
        if facts[name] is not None:
            yield tell(facts[name])


def _devices(facts: Mapping[str, Any]) -> list[str]:
    found = facts["devices"] or {}
    devices, processes = found.get("devices"), found.get("processes")
    if not devices:
        return []
    return [f"{devices} x {_plain(str(found.get('device_kind', '?')))}, processes: {processes}"]


def _goodput(goodput: Mapping[str, Any] | None) -> list[str]:
    if goodput is None:
        return []
    worth_it = {name: share for name, share in goodput["lost"].items() if share > _NEGLIGIBLE}
    lost = [f"{_plain(name).replace('_', ' ')} {percent(share)}" for name, share in worth_it.items()]
    whole = f"{percent(goodput['share'])} of {duration(goodput['seconds'])}"
    return _joined([f"{whole}{'; lost: ' + lost[0] if lost else ''}", *lost[1:]], ", ")


def _checkpoints(facts: Mapping[str, Any]) -> list[str]:
    found = [
        f"{each['step']:,}" + (f" ({duration(each['seconds_ago'])} ago)" if each["seconds_ago"] is not None else "")
        for each in facts["checkpoints"][:3]
    ]
    more = len(facts["checkpoints"]) - len(found)
    lines = _joined([*found, *([f"{more} older"] if more else [])], ", ") if found else ["none"]
    if facts["damaged"]:
        lines += _joined([f"damaged and set aside: {_plain(', '.join(facts['damaged']))}"])
    return lines


def _counts(counts: Mapping[str, int]) -> Iterator[str]:
    for name, times in counts.items():
        if name not in ("start", "end", "stop", "stopped", "compiled"):
            yield f"{_plain(name)} {times}x"


def _events(events: list[Mapping[str, Any]]) -> list[str]:
    lines = []
    for event in events:
        ago = f"{duration(event['seconds_ago'])} ago" if event["seconds_ago"] is not None else ""
        head = f"{event['step']:>10,}  {ago:<15} {_plain(event['event'])}"
        message = f"{head}: {_plain(event['message'])}" if event["message"] else head
        lines += textwrap.wrap(message, WIDTH - _LABEL - 2, subsequent_indent=" " * 14, drop_whitespace=True)[:3]
        lines[-1] = lines[-1].rstrip()
    return lines


def _one(value: float | None, tell: Any) -> list[str]:
    return [] if value is None else [tell(value)]


def _joined(parts: Any, between: str = " · ") -> list[str]:
    """Parts beside each other, on as many lines as they need."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(between) + len(part) <= WIDTH - _LABEL - 2:
            lines[-1] += between + part
        else:
            lines.append(part[: WIDTH - _LABEL - 2])
    return lines


def _range(gate: Mapping[str, float]) -> str:
    return f"{number(gate['least'])} to {number(gate['most'])}"


def _large(value: float) -> str:
    figure, unit = amount(value)
    return f"{figure} {unit}".strip() if unit else count(value)


def _plain(text: str) -> str:
    """Text of a file without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
