import time

import pytest

from flamingo_jax.planning import hlo
from tests.patience import within

PROGRAM = """HloModule jit_step, is_scheduled=true, num_partitions=4

FileNames
1 "step.py"

%fused (param_0.1: bf16[8,128], param_1: (f32[2], s32[])) -> bf16[8,128] {
  %param_0.1 = bf16[8,128]{1,0:T(8,128)(2,1)S(1)} parameter(0)
  %param_1 = (f32[2]{0:T(128)}, s32[]{:T(128)}) parameter(1)
  ROOT %negate.1 = bf16[8,128]{1,0:T(8,128)(2,1)} negate(%param_0.1)
}

ENTRY %main.1_spmd (x: bf16[8,128]) -> bf16[8,128] {
  %constant.3 = s32[]{:T(128)} constant(-12), metadata={op_name="c"}
  %x = bf16[8,128]{1,0:T(8,128)(2,1)} parameter(0), sharding={replicated}, metadata={op_name="x"}
  %kernel.7 = (f32[8,128]{1,0:T(8,128)}, /*index=1*/u32[]{:S(2)}) custom-call(%x, /*index=1*/%constant.3), \
custom_call_target="tpu_custom_call", operand_layout_constraints={}, frontend_attributes={kernel_metadata={
"note":"{\\"block\\": 128}"
}}, metadata={op_name="k"}, backend_config={"custom_call_config":{"body":"AA=","cost_estimate":{"flops":"20",\
"transcendentals":"3","bytes_accessed":"40"}}}
  ROOT %fusion.2 = bf16[8,128]{1,0:T(8,128)(2,1)} fusion(%x, %kernel.7), kind=kLoop, calls=%fused, \
metadata={op_name="estimated_cycles"}, backend_config={"window_config":{"estimated_cycles":"1234","cost":0}}
}
"""


def test_reads_computations_and_instructions():
    program = hlo.parse(PROGRAM)
    assert set(program.computations) == {"fused", "main.1_spmd"}
    assert program.entry == "main.1_spmd"
    main = program.computations["main.1_spmd"]
    assert list(main.instructions) == ["constant.3", "x", "kernel.7", "fusion.2"]
    assert main.root == "fusion.2"
    fusion = main["fusion.2"]
    assert (fusion.opcode, fusion.operands, fusion.cycles) == ("fusion", ("x", "kernel.7"), 1234)
    assert fusion.computation("calls") == "fused"
    assert "metadata" not in fusion.attributes
    assert main["constant.3"].operands == ("-12",)
    assert set(program.computations["fused"].parameters) == {0, 1}


def test_an_instruction_may_run_over_several_lines():
    kernel = hlo.parse(PROGRAM).computations["main.1_spmd"]["kernel.7"]
    assert kernel.operands == ("x", "constant.3")
    assert kernel.kernel == (20, 40)
    assert kernel.cycles is None


def test_what_runs_beside_the_matrix_units_ends_like_any_other():
    """As libtpu writes what a v6e does on its sparse cores."""
    beside = PROGRAM.replace("}\n\nENTRY", '}, execution_thread="sparsecore"\n\nENTRY')
    assert beside != PROGRAM
    assert hlo.parse(beside) == hlo.parse(PROGRAM)


def test_reads_shapes_and_memory_spaces():
    assert hlo.read_shape("bf16[8,128]{1,0:T(8,128)(2,1)S(1)}") == (hlo.Array("bf16", (8, 128), 1),)
    first, second = hlo.read_shape("(f32[2,3]{1,0:T(8,128)}, /*index=1*/u32[]{:S(2)})")
    assert (first.sizes, first.space, first.bytes) == ((2, 3), 0, 24)
    assert (second.sizes, second.space, second.bytes) == ((), 2, 4)


@pytest.mark.parametrize(
    ("dtype", "size"), [("pred", 10), ("s4", 5), ("f8e4m3fn", 10), ("bf16", 20), ("f32", 40), ("c64", 80), ("token", 0)]
)
def test_bytes_of_types(dtype, size):
    assert hlo.Array(dtype, (10,)).bytes == size


def test_finds_what_calls_a_computation():
    caller, instruction = hlo.parse(PROGRAM).callers()["fused"]
    assert (caller.name, instruction.name) == ("main.1_spmd", "fusion.2")


def test_the_text_of_something_else_is_an_error():
    with pytest.raises(ValueError, match="not the text of a compiled program"):
        hlo.parse("module @jit_step {\n}\n")


def test_reading_takes_time_in_proportion_to_the_text():
    line = PROGRAM.splitlines()[-2].replace("ROOT ", "")
    body = [line.replace("fusion.2", f"fusion.{index}") for index in range(40_000)]
    lines = PROGRAM.splitlines()
    text = "\n".join([*lines[:-2], *body, *lines[-2:]])  # 9 MB
    with within(10, time.process_time):  # 0.3 s on an idle machine
        program = hlo.parse(text)
    assert len(program.computations["main.1_spmd"].instructions) == 40_003
