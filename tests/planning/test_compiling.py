"""What the compiler says of a program's memory: of one that fits, and of one that does not."""

import jax
import jax.numpy as jnp
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.planning import hlo
from flamingo_jax.planning.compiling import compile_step, needed_bytes
from flamingo_jax.planning.estimate import estimate
from flamingo_jax.planning.memory import Memory, compiled_memory, exceeded_memory, usable
from tests.planning import tpu

GIB = 2**30


class Program:
    """In the place of a design: `function` of one array on one chip."""

    def __init__(self, function, mesh, *sizes):
        self.function, self.argument = function, tpu.array(mesh, *sizes, dtype=jnp.float32)

    def lower(self, batch):
        return jax.jit(self.function).lower(self.argument)


@tpu.needs_libtpu
def test_a_program_that_does_not_fit_says_what_it_would_need():
    topology, mesh = tpu.one_chip("v5e:2x2")
    compiled = compile_step(Program(lambda x: jnp.sin(x) @ jnp.cos(x), mesh, 65536, 65536), {})
    assert (compiled.text, compiled.stats) == ("", None)
    # 16 GiB come in and 16 go out; the compiler may hold more.
    assert 32 * GIB <= compiled.needed < 80 * GIB
    assert compiled.needed > topology.chip.hbm_bytes


@tpu.needs_libtpu
def test_a_program_that_fits_has_its_memory_by_kind():
    _, mesh = tpu.one_chip("v5e:2x2")
    size = 16384**2 * 4  # the result too
    compiled = compile_step(Program(lambda x: jnp.sin(x) @ x, mesh, 16384, 16384), {})
    assert compiled.needed is None and "ENTRY" in compiled.text and compiled.seconds > 0
    memory = compiled_memory(Memory(frozen=0, trainable=size - 4096, optimizer=1024, batch=1024), compiled.stats)
    assert memory.padding == 2048
    assert memory.outputs == size
    assert 0 < memory.program < 2**28
    assert memory.peak == sum(memory.kinds.values()) >= 2 * size


@tpu.needs_libtpu
def test_what_the_compiler_writes_is_what_jax_reads():
    topology, mesh = tpu.one_chip("v6e:2x2")
    program = Program(lambda x: jax.lax.scan(lambda y, _: (jnp.sin(y) @ y, None), x, length=7)[0], mesh, 1024, 1024)
    written, read = compile_step(program, {}).text, program.lower({}).compile().as_text()
    assert written != read  # the order of an instruction's attributes
    assert estimate(written, topology, mesh) == estimate(read, topology, mesh)
    assert hlo.parse(written).computations.keys() == hlo.parse(read).computations.keys()


@pytest.mark.parametrize(
    ("message", "needed"),
    [
        (
            "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
            "temporaries (21.38G) exceeds available HBM (15.75G). HLO module: jit_step.",
            int(21.38 * GIB),
        ),
        (
            "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory space hbm. Used 1.20T of "
            "95.74G hbm. Exceeded hbm capacity by 1.11T.",
            int(1.20 * 2**40),
        ),
        ("RESOURCE_EXHAUSTED: Ran out of memory in memory space vmem. Used 20.00M of 16.00M vmem.", None),
        ("INTERNAL: Mosaic failed to compile TPU kernel", None),
    ],
)
def test_reads_what_a_program_would_need(message, needed):
    assert needed_bytes(message) == needed


def test_any_other_refusal_is_an_error():
    class Refused:
        def lower(self, batch):
            return self

        def compile(self, options):
            raise jax.errors.JaxRuntimeError("INTERNAL: Mosaic failed")

    with pytest.raises(ConfigError, match="refuses the step: INTERNAL: Mosaic failed"):
        compile_step(Refused(), {})


def test_memory_of_a_refused_program_adds_up_to_what_it_would_need():
    taken = Memory(frozen=5 * GIB, trainable=GIB, optimizer=2 * GIB, batch=GIB)
    memory = exceeded_memory(taken, 20 * GIB)
    assert memory.temporaries == 11 * GIB
    assert memory.peak == 20 * GIB
    assert exceeded_memory(taken, GIB).peak == 9 * GIB


def test_a_reserve_stays_free():
    assert 0.9 * GIB < usable(GIB) < GIB
