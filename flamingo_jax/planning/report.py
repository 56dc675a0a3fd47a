"""A plan as text, 100 columns at most."""

import operator
import textwrap
from collections.abc import Sequence

from flamingo_jax.planning.advice import gib
from flamingo_jax.planning.memory import RESERVE
from flamingo_jax.planning.plan import Kind, Plan
from flamingo_jax.planning.summary import SECONDS
from flamingo_jax.training.params import Count

_WIDTH = 100
_NAME = 40  # of the first column
_MOST = 12  # lines of a list
_LABELS = {
    "frozen": "frozen weights",
    "trainable": "trainable parameters",
    "optimizer": "optimizer's state",
    "batch": "batch",
    "padding": "padding of these to tiles",
    "outputs": "outputs",
    "temporaries": "temporaries (activations, gradients)",
    "program": "program",
}
_PARTS = {
    "compute": "computation",
    "links": "collectives within a slice",
    "network": "collectives between slices",
    "copies": "copies into vector memory",
    "host": "copies to and from the host",
}


def render(plan: Plan) -> str:
    """The whole report."""
    sections = [_heading(plan), _params(plan), _memory(plan), _work(plan)]
    if plan.estimated:
        sections.append(_time(plan))
        sections += [section for kind in plan.kinds for section in (_collectives(plan, kind), _rooflined(plan, kind))]
    sections.append([f"Compiled in {plan.compile_seconds:,.0f} s."])
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _heading(plan: Plan) -> list[str]:
    chip, topology = plan.topology.chip, plan.topology
    slices = f" in {topology.slices} slices" if topology.slices > 1 else ""
    mesh = " x ".join(f"{axis} {size}" for axis, size in plan.mesh.items() if size > 1) or "of one device"
    return [
        f"{topology.name}: {topology.chips:,} chips{slices}, mesh {mesh}",
        f"A chip: {chip.peak_flops / 1e12:,.0f} TFLOP/s in bfloat16, {gib(chip.hbm_bytes)} of memory",
    ]


def _params(plan: Plan) -> list[str]:
    total = sum(plan.params.values(), Count())
    lines = [_row("Parameters", "frozen", "trainable")]
    lines += [_row(f"  {name}", f"{each.frozen:,}", f"{each.trainable:,}") for name, each in plan.params.items()]
    return [*lines, _row("  total", f"{total.frozen:,}", f"{total.trainable:,}")]


def _memory(plan: Plan) -> list[str]:
    memory, capacity = plan.memory, plan.topology.chip.hbm_bytes
    lines = [_row("Memory of a chip" + ("" if len(plan.kinds) == 1 else ", the largest kind of step"))]
    lines += [_row(f"  {_LABELS[kind]}", gib(size)) for kind, size in memory.kinds.items() if size]
    lines.append(_row("  peak", gib(memory.peak), f"{memory.peak / capacity:,.1%} of a chip"))
    answer = "it fits" if plan.fits else "IT DOES NOT FIT"
    lines.append(f"  {answer}, with {RESERVE:.0%} of the chip in reserve")
    if not plan.estimated:
        lines.append("  (the compiler refused the program, so temporaries are all that it would have needed besides)")
    for place, line in enumerate(plan.advice):
        indent = "  " if place == 0 else "  - "
        lines += textwrap.wrap(line, _WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))
    return lines


def _work(plan: Plan) -> list[str]:
    lines = ["Work of a step" + ("" if len(plan.kinds) == 1 else ", the mean over the kinds of steps")]
    if len(plan.kinds) > 1:
        for kind in plan.kinds:
            name = f"  {' + '.join(kind.datasets)}, {kind.share:.0%} of steps"
            time = f"{kind.estimate.step_seconds:,.3f} s" if kind.estimate is not None else ""
            lines.append(_row(name, f"{kind.tokens:,} tokens", f"{kind.images:,} images", time))
    lines.append(_row("  tokens (all positions of the batch)", f"{plan.tokens:,.0f}"))
    lines.append(_row("  images and frames", f"{sum(kind.share * kind.images for kind in plan.kinds):,.0f}"))
    lines.append(_row("  model FLOPs", f"{plan.model_flops:.4g}"))
    shared = sum(kind.share * kind.flops.shared for kind in plan.kinds)
    if shared:
        lines.append(_row("    of them taken once for all rows", f"{shared:.4g}"))
    if plan.estimated:
        ratio = f"{plan.hardware_flops / plan.model_flops:.2f} times as many" if plan.model_flops else ""
        lines.append(_row("  hardware FLOPs", f"{plan.hardware_flops:.4g}", ratio))
    return lines


def _time(plan: Plan) -> list[str]:
    both, chips = (True, False), plan.topology.chips
    lines = [_row("Time of a step, estimated", "full overlap", "no overlap")]
    for name, field in SECONDS.items():
        seconds = plan.mean(operator.attrgetter(field))
        if seconds >= 5e-7:
            lines.append(_row(f"  {_PARTS[name]}", _seconds(seconds)))
    rows = {
        "step": [_seconds(plan.step_seconds(each)) for each in both],
        "MFU": [f"{plan.mfu(each):.3f}" for each in both],
        "tokens per second": [f"{plan.tokens / plan.step_seconds(each):,.0f}" for each in both],
        f"days for {plan.steps:,} steps": [f"{plan.run_seconds(each) / 86_400:,.2f}" for each in both],
        "chip-hours": [f"{chips * plan.run_seconds(each) / 3_600:,.0f}" for each in both],
    }
    return lines + [_row(f"  {name}", *values) for name, values in rows.items()]


def _collectives(plan: Plan, kind: Kind) -> list[str]:
    found = [each for each in kind.estimate.collectives if each.bytes]
    rows = [
        _row(
            f"  {each.kind} over {', '.join(each.axes) or 'no axis'} ({each.network})",
            f"{each.count:,.0f}",
            gib(each.bytes),
            _seconds(each.seconds),
        )
        for each in found
    ]
    return _listed(_title(plan, kind, "Collectives"), ("count", "sent by a chip", "time"), rows)


def _rooflined(plan: Plan, kind: Kind) -> list[str]:
    rows = [
        _row(f"  {each.name}", f"{each.count:,.0f}", f"{each.flops:.3g} FLOPs", _seconds(each.seconds))
        for each in kind.estimate.rooflined
    ]
    lines = _listed(_title(plan, kind, "Operations costed by roofline"), ("count", "work", "time"), rows)
    if kind.estimate.unknown_loops:
        loops = ", ".join(kind.estimate.unknown_loops)
        lines += textwrap.wrap(f"Loops of unknown length, counted as run once: {loops}", _WIDTH)
    return lines


def _title(plan: Plan, kind: Kind, title: str) -> str:
    return title if len(plan.kinds) == 1 else f"{title}, step of {' + '.join(kind.datasets)}"


def _listed(title: str, columns: Sequence[str], rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  and {len(rows) - _MOST} more (--json lists them)"] if len(rows) > _MOST else []
    return [_row(title, *columns), *rows[:_MOST], *more]


def _row(name: str, *values: str) -> str:
    """A line of a table: a name, then columns that end at the same places."""
    return (f"{name:<{_NAME}}" + "".join(f"{value:>20}" for value in values)).rstrip()


def _seconds(value: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3)):
        if value >= scale:
            return f"{value / scale:,.3f} {unit}"
    return f"{value / 1e-6:,.1f} us"
