"""A plan as JSON."""

import dataclasses
import operator
from typing import Any

from flamingo_jax.planning.estimate import Estimate
from flamingo_jax.planning.memory import RESERVE
from flamingo_jax.planning.plan import Kind, Plan
from flamingo_jax.training.params import Count

_BOUNDS = (("", True), ("_no_overlap", False))
SECONDS = {
    "compute": "compute_seconds",
    "links": "ici_seconds",
    "network": "dcn_seconds",
    "copies": "copy_seconds",
    "host": "host_seconds",
}
"""What a step spends its time on -> where an `Estimate` has it."""


def to_dict(plan: Plan) -> dict[str, Any]:
    """Plain data. What is estimated of the time is None where the compiler refused the program (it does not fit)."""
    return {
        "params": _params(plan),
        "topology": plan.topology.name,
        "slices": plan.topology.slices,
        "chips": plan.topology.chips,
        "mesh": dict(plan.mesh),
        "hbm_bytes_per_chip": plan.memory.peak,
        "hbm_capacity": plan.topology.chip.hbm_bytes,
        "hbm_reserve": RESERVE,
        "fits": plan.fits,
        "advice": list(plan.advice),
        "memory": plan.memory.kinds,
        "steps": plan.steps,
        "tokens_per_step": plan.tokens,
        "model_flops_per_step": plan.model_flops,
        "model_flops": _model_flops(plan),
        **_estimated(plan),
        "kinds_of_steps": [_kind(kind) for kind in plan.kinds],
        "compile_seconds": plan.compile_seconds,
    }


def _params(plan: Plan) -> dict[str, Any]:
    total = sum(plan.params.values(), Count())
    modules = {name: dataclasses.asdict(count) for name, count in plan.params.items()}
    return {**dataclasses.asdict(total), "total": total.total, "modules": modules}


def _model_flops(plan: Plan) -> dict[str, Any]:
    modules: dict[str, float] = {}
    for kind in plan.kinds:
        for name, flops in kind.flops.modules.items():
            modules[name] = modules.get(name, 0) + kind.share * flops
    return {"modules": modules, "shared_by_rows": sum(kind.share * kind.flops.shared for kind in plan.kinds)}


def _estimated(plan: Plan) -> dict[str, Any]:
    def known(value: Any) -> Any:
        return value() if plan.estimated else None

    found = {"hardware_flops_per_step": known(lambda: plan.hardware_flops)}
    for suffix, overlap in _BOUNDS:
        found |= {
            f"estimated_step_seconds{suffix}": known(lambda o=overlap: plan.step_seconds(o)),
            f"estimated_mfu{suffix}": known(lambda o=overlap: plan.mfu(o)),
            f"tokens_per_second{suffix}": known(lambda o=overlap: plan.tokens / plan.step_seconds(o)),
            f"days{suffix}": known(lambda o=overlap: plan.run_seconds(o) / 86_400),
            f"chip_hours{suffix}": known(lambda o=overlap: plan.topology.chips * plan.run_seconds(o) / 3_600),
        }
    return found | {
        "collective_bytes": known(lambda: plan.mean(lambda estimate: estimate.collective_bytes)),
        "seconds": known(lambda: {name: plan.mean(operator.attrgetter(field)) for name, field in SECONDS.items()}),
    }


def _kind(kind: Kind) -> dict[str, Any]:
    return {
        "datasets": list(kind.datasets),
        "share": kind.share,
        "tokens": kind.tokens,
        "images": kind.images,
        "model_flops": kind.flops.total,
        "memory": kind.memory.kinds,
        "compile_seconds": kind.compile_seconds,
        **(_details(kind.estimate) if kind.estimate is not None else {}),
    }


def _details(estimate: Estimate) -> dict[str, Any]:
    return {
        "step_seconds": estimate.step_seconds,
        "step_seconds_no_overlap": estimate.step_seconds_no_overlap,
        "collectives": [dataclasses.asdict(each) for each in estimate.collectives],
        "operations_by_roofline": [dataclasses.asdict(each) for each in estimate.rooflined],
        "loops_of_unknown_length": list(estimate.unknown_loops),
    }
