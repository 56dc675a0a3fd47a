"""The benchmark of the step on GPUs: end to end on the CPU, its parts, and the 3B model's step lowered for CUDA."""

import contextlib
import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from flamingo_jax import config
from flamingo_jax.config import ConfigError
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from tests import tiny, tiny_run

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))  # a script's modules lie beside it

import gpu_step
import gpu_step_kernels
from gpu_step_batches import largest_fitting, unit_sizes, with_sizes
from gpu_step_peak import Peak
from gpu_step_timing import Program, Timing, compile_program

ROOT = Path(__file__).parents[1]
GIB = 2**30
SMALLER = (
    "flamingo.FlamingoConfig.cross_attention_every = 1",
    "decoder_config.DecoderConfig.num_layers = 1",
    "resampler.PerceiverResamplerConfig.num_layers = 1",
    "two/efficientnet.BlockGroup.repeats = 1",
)


@pytest.fixture(scope="module")
def gin_file(tmp_path_factory) -> Path:
    return tiny_run.write_pairs_only(tmp_path_factory.mktemp("gin") / "tiny.gin", *SMALLER)


@pytest.fixture(scope="module")
def run_3b() -> RunConfig:
    with contextlib.chdir(ROOT):
        return config.resolve(RunConfig, [gpu_step.RUN], [])


def benchmark(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "benchmarks/gpu_step.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_from_end_to_end(gin_file, tmp_path):
    path = tmp_path / "found.json"
    done = benchmark("--device=cpu", f"--gin_file={gin_file}", "--batch=2", "--steps=1", f"--json={path}")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    found = json.loads(path.read_text())
    assert [each.name for each in tmp_path.iterdir()] == ["found.json"]
    assert found["peak"]["flops"] == max(found["peak"]["all"].values()) > 0
    (tried,), (step,) = found["tried"], found["steps"]
    assert (step["attention"], step["scale"], step["rows"]) == ("xla", 2, {"pairs": 2})
    assert (step["tokens"], step["images"]) == (2 * 40, 2)
    assert sum(step["memory"].values()) == tried["needed"] and tried["fits"]
    assert step["memory"]["temporaries"] > 0 and math.isfinite(step["timing"]["loss"])
    (seconds,) = step["timing"]["seconds"]
    assert step["step_seconds"] == seconds > 0
    assert step["mfu"] == pytest.approx(step["model_flops"] / seconds / found["peak"]["flops"])
    assert step["mfu_vendor"] is None and found["vendor_peak"] is None


def test_without_a_gpu_it_says_so():
    try:
        if jax.devices("gpu"):
            pytest.skip("there is one")
    except RuntimeError:
        pass
    done = benchmark()
    assert (done.returncode, done.stdout) == (gpu_step.NO_DEVICE, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("no GPU is at hand, so nothing was measured: run this on a machine with an NVIDIA GPU")


def flags(*arguments: str):
    return gpu_step._flags().parse_args(["--device=cpu", *arguments])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "does not say how much memory it has: give --batch or --memory_gib"),
        (("--batch=1", "--attention=xla,triton"), "got 'triton'"),
        (("--batch=1", "--attention=cudnn"), "set 'bfloat16'"),
        (("--batch=1", "--attention=cudnn", "--gin=flamingo.FlamingoConfig.dtype='bfloat16'"), "not run on cpu"),
    ],
)
def test_mistakes_show_before_any_work(gin_file, arguments, says):
    with pytest.raises(ConfigError, match=says):
        gpu_step.measure(flags(f"--gin_file={gin_file}", *arguments), jax.devices()[:1])


# Bytes by scale: from a constant part, with a growing part of 1 GiB a scale or of other shapes, and a compiler that
# itself runs out of memory.
GROWTHS = {
    "affine": lambda scale: (26 + scale) * GIB,
    "mostly growing": lambda scale: (0.1 + 3 * scale) * GIB,
    "flat, then steep": lambda scale: max(30, 2.5 * scale) * GIB,
    "flattening": lambda scale: (20 + 8 * scale**0.7) * GIB,
    "refused from 16 on": lambda scale: (26 + scale) * GIB if scale < 16 else math.inf,
    "too much at once": lambda scale: 300 * GIB,
}


@pytest.mark.parametrize("growth", GROWTHS)
@pytest.mark.parametrize("room", [1, 27, 29, 80, 141])
def test_the_search_finds_what_trying_all_finds(growth, room):
    asked = []

    def needed(scale):
        asked.append(scale)
        return GROWTHS[growth](scale)

    found = largest_fitting(needed, room * GIB)
    assert found == max((2**power for power in range(12) if GROWTHS[growth](2**power) <= room * GIB), default=0)
    assert len(asked) == len(set(asked)) <= 7
    assert max(asked) <= max(8 * found, 1)


def test_batches_keep_the_proportions_of_the_run(run_3b):
    devices = jax.devices()[:1]
    assert unit_sizes(run_3b, devices) == {"m3w": 4, "align": 8, "ltip": 8, "vtp": 1}
    micro = dataclasses.replace(run_3b, microbatches={"m3w": 8, "vtp": 3})
    unit = unit_sizes(micro, devices)
    assert unit == {"m3w": 24, "align": 48, "ltip": 48, "vtp": 6}
    sized = {name: dataset.batch_size for name, dataset in with_sizes(run_3b, unit).mixture.datasets}
    assert sized == unit


def lowered_for_cuda(run: RunConfig, kernel: str) -> str:
    design = Design.make(run, jax.devices()[:1])
    # The CPU is in the GPU's place, for which the design itself would refuse the kernel.
    model = Flamingo(dataclasses.replace(run.model, attention=kernel))
    design = dataclasses.replace(design, model=model)
    (batch,) = design.batches.values()
    with design.scope():
        return design.step.trace(design.state, design.frozen, batch).lower(lowering_platforms=("cuda",)).as_text()


@pytest.fixture
def cudnn(monkeypatch):
    """A version of cuDNN: there is none where there is no GPU."""
    fused = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(fused, "check_cudnn_version", lambda: 91200)


def test_the_3b_step_lowers_for_cuda_with_both_kernels(run_3b, cudnn):
    # NFNet-F6 takes long to trace, and has no attention; ALIGN and LTIP are pairs like one another's.
    light = dataclasses.replace(tiny.VISION, head_width=run_3b.model.vision.output_width)
    datasets = tuple(each for each in run_3b.mixture.datasets if each[0] in ("m3w", "vtp"))
    run = dataclasses.replace(
        run_3b,
        model=dataclasses.replace(run_3b.model, vision=light),
        mixture=dataclasses.replace(run_3b.mixture, datasets=datasets),
    )
    calls_cudnn(run)


@pytest.mark.slow
def test_the_whole_3b_step_lowers_for_cuda(run_3b, cudnn):
    calls_cudnn(run_3b)


def calls_cudnn(run: RunConfig) -> None:
    assert "__cudnn" not in lowered_for_cuda(run, "xla")
    text = lowered_for_cuda(run, "cudnn")
    assert text.count("@__cudnn$fmhaScaleBiasSoftmax(") > 0
    # Of each dataset: a layer's own attention and the one to images.
    assert text.count("@__cudnn$fmhaScaleBiasSoftmaxBackward(") == 2 * len(run.mixture.datasets)


def exhausted(*_):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 123 bytes.")


def test_a_compiler_out_of_memory_is_an_answer_and_another_failure_is_not():
    class Refused:
        def lower(self, batch):
            return self

    Refused.compile = exhausted
    assert compile_program(Refused(), {}).needed == math.inf

    def compile(self):
        raise jax.errors.JaxRuntimeError("INTERNAL: ptxas failed")

    Refused.compile = compile
    with pytest.raises(jax.errors.JaxRuntimeError, match="ptxas"):
        compile_program(Refused(), {})


@pytest.fixture
def compiled(monkeypatch):
    """Programs of 0.1 GiB a row of pairs, and a peak, without compiling or timing any."""

    def compile_program(design, batch):
        rows = batch["pairs"]["tokens"].shape[0]
        return Program(design, batch, object(), {"temporaries": rows * GIB // 10}, 1.5)

    monkeypatch.setattr(gpu_step_kernels, "compile_program", compile_program)
    monkeypatch.setattr(gpu_step, "measure_peak", lambda *_: Peak(1e12, "a x b x c", {"a x b x c": 1e12}))


@pytest.mark.parametrize(
    ("arguments", "scales", "timed", "status"),
    [
        (("--memory_gib=1",), [1, 2, 8, 16], [8], 0),  # 0.98 GiB after the reserve
        (("--memory_gib=1", "--batch=3"), [3], [3], 0),
        (("--memory_gib=1", "--batch=16"), [16], [], gpu_step.DOES_NOT_FIT),
        (("--memory_gib=0.1",), [1], [], gpu_step.DOES_NOT_FIT),
    ],
)
def test_times_the_largest_batch_that_fits(gin_file, compiled, monkeypatch, tmp_path, arguments, scales, timed, status):
    monkeypatch.setattr(gpu_step_kernels, "time_steps", lambda program, steps: Timing([2.0] * steps, 0.5, None))
    path = tmp_path / "found.json"
    values = flags(f"--gin_file={gin_file}", f"--json={path}", "--steps=3", *arguments)
    assert gpu_step.measure(values, jax.devices()[:1]) == status
    found = json.loads(path.read_text())
    assert [each["scale"] for each in found["tried"]] == scales
    assert [step["scale"] for step in found["steps"]] == timed
    assert all(step["timing"]["seconds"] == [2.0] * 3 for step in found["steps"])


def test_a_device_out_of_memory_is_reported(gin_file, compiled, monkeypatch, capsys):
    monkeypatch.setattr(gpu_step_kernels, "time_steps", exhausted)
    status = gpu_step.measure(flags(f"--gin_file={gin_file}", "--batch=2"), jax.devices()[:1])
    assert status == gpu_step.DOES_NOT_FIT
    assert (
        capsys.readouterr().out.splitlines()[-1] == "xla, scale 2 (pairs 2): out of memory, although its program fits"
    )


def test_kernels_are_compared_at_a_batch_that_both_can_do():
    assert gpu_step.shared({"xla": 8, "cudnn": 32}) == [("cudnn", 8)]
    assert gpu_step.shared({"xla": 8, "cudnn": 8}) == []
    assert gpu_step.shared({"xla": 0, "cudnn": 4}) == []


def test_mfu_by_hand():
    row = gpu_step_kernels.Row("xla", 1, {}, 600, 30, 1.2e15, {}, 1.0, Timing([2.5, 1.5, 1.0], 0.0, None))
    found = gpu_step.figures(row, Peak(400e12, "", {}), 800e12, devices=2)
    assert found == {
        "step_seconds": 1.5,
        "tokens_per_second": 400,
        "images_per_second": 20,
        "mfu": pytest.approx(1.0),
        "mfu_vendor": pytest.approx(0.5),
    }
