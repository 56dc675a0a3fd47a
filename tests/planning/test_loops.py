import jax.numpy as jnp
import pytest
from jax import lax

from flamingo_jax.planning import hlo
from flamingo_jax.planning.estimate import estimate
from flamingo_jax.planning.loops import Loops
from tests.planning import tpu

LOOP = """HloModule loop

%body (carry: (s32[], s32[])) -> (s32[], s32[]) {{
  %carry = (s32[], s32[]) parameter(0)
  %i = s32[] get-tuple-element(%carry), index=0
  %bound = s32[] get-tuple-element(%carry), index=1
  %by = s32[] constant({step})
  %next = s32[] add(%by, %i)
  ROOT %out = (s32[], s32[]) tuple(%next, %bound)
}}

%condition (carry.1: (s32[], s32[])) -> pred[] {{
  %carry.1 = (s32[], s32[]) parameter(0)
  %i.1 = s32[] get-tuple-element(%carry.1), index=0
  %bound.1 = s32[] get-tuple-element(%carry.1), index=1
  ROOT %more = pred[] compare({compared}), direction={direction}
}}

ENTRY %main (n: s32[]) -> (s32[], s32[]) {{
  %n = s32[] parameter(0)
  %start = s32[] constant({start})
  %end = s32[] constant({end})
  %in = (s32[], s32[]) tuple(%start, {bound})
  ROOT %loop = (s32[], s32[]) while(%in), condition=%condition, body=%body{settings}
}}
"""
USUAL = {
    "start": 0,
    "end": 10,
    "step": 1,
    "direction": "LT",
    "compared": "%i.1, %bound.1",
    "bound": "%end",
    "settings": "",
}


@pytest.mark.parametrize(
    ("changes", "trips"),
    [
        ({}, 10),
        ({"start": 3}, 7),
        ({"step": 3}, 4),
        ({"direction": "LE"}, 11),
        ({"direction": "NE", "step": 2}, 5),
        ({"direction": "NE", "step": 3}, None),  # would run for ever
        ({"start": 10, "end": 0, "step": -1, "direction": "GT"}, 10),
        ({"start": 10, "end": 0, "step": -2, "direction": "GE"}, 6),
        ({"compared": "%bound.1, %i.1", "direction": "GT"}, 10),
        ({"start": 12}, 0),
        ({"step": 0}, None),
        ({"bound": "%n"}, None),  # depends on data
        ({"bound": "%n", "settings": ', backend_config={"known_trip_count":{"n":"6"}}'}, 6),
    ],
)
def test_reads_the_trip_count_of_a_counted_loop(changes, trips):
    program = hlo.parse(LOOP.format(**USUAL | changes))
    assert Loops(program).trips(program.computations["main"]["loop"]) == trips


def test_elements_that_depend_on_each_other_are_no_counter():
    text = LOOP.format(**USUAL).replace("tuple(%next, %bound)", "tuple(%next, %other)")
    text = text.replace("  %by =", "  %other = s32[] add(%bound, %i)\n  %by =").replace(
        "add(%by, %i)", "add(%bound, %i)"
    )
    program = hlo.parse(text)
    assert Loops(program).trips(program.computations["main"]["loop"]) is None


@tpu.needs_libtpu
def test_a_scan_of_n_products_costs_n_times_one():
    topology, mesh = tpu.one_chip("v5e:2x2")

    def scanned(x, weights):
        return lax.scan(lambda x, weight: (x @ weight, None), x, weights)[0]

    def cost(length):
        arrays = tpu.array(mesh, 1024, 1024), tpu.array(mesh, length, 1024, 1024)
        return estimate(tpu.text(scanned, *arrays), topology, mesh)

    four, forty = cost(4), cost(40)
    assert forty.hardware_flops == 10 * four.hardware_flops == 40 * 2 * 1024**3
    assert forty.compute_seconds == pytest.approx(10 * four.compute_seconds, rel=0.02)
    assert forty.unknown_loops == ()


@tpu.needs_libtpu
def test_trip_counts_of_loops_within_loops_multiply():
    topology, mesh = tpu.one_chip("v5p:2x2x1")

    def nested(x, weights):
        def outer(x, weight):
            return lax.fori_loop(0, 5, lambda _, x: jnp.tanh(x @ weight), x), None

        return lax.scan(outer, x, weights)[0]

    arrays = tpu.array(mesh, 1024, 1024), tpu.array(mesh, 7, 1024, 1024)
    found = estimate(tpu.text(nested, *arrays), topology, mesh)
    assert found.hardware_flops == 7 * 5 * 2 * 1024**3
    assert found.unknown_loops == ()


@tpu.needs_libtpu
def test_a_loop_that_depends_on_data_is_named_and_counted_once():
    topology, mesh = tpu.one_chip("v5p:2x2x1")

    def until(x, weight):
        return lax.while_loop(lambda x: jnp.max(x) < 1e6, lambda x: x @ weight, x)

    found = estimate(tpu.text(until, *[tpu.array(mesh, 1024, 1024)] * 2), topology, mesh)
    assert len(found.unknown_loops) == 1
    assert found.hardware_flops == 2 * 1024**3


@tpu.needs_libtpu
def test_of_a_condition_the_dearer_branch_counts():
    topology, mesh = tpu.one_chip("v5p:2x2x1")

    def either(which, x, weight):
        return lax.cond(which > 0, lambda x: x @ weight @ weight, lambda x: x, x)

    which = tpu.array(mesh, dtype=jnp.int32)
    found = estimate(tpu.text(either, which, *[tpu.array(mesh, 1024, 1024)] * 2), topology, mesh)
    assert found.hardware_flops == 4 * 1024**3
