"""What a user sees of a mistake: one line on stderr, exit status 2, and nothing written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys
from absl import flags
from flamingo_jax import command_line
from flamingo_jax.data.tokenizer import TokenizerError
from flamingo_jax.training.checkpoint_errors import CheckpointError

flags.DEFINE_boolean("seen", False, "help")
kind, *sys.argv[1:] = sys.argv[1:]

def main():
    logging.getLogger("flamingo_jax.somewhere").info("seen: %s", flags.FLAGS.seen)
    logging.getLogger("jax").info("chatter")
    logging.getLogger("absl").info("chatter")
    if kind != "none":
        raise eval(kind)("the reason")

command_line.run(main)
"""


def run(*arguments: str, root: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=root, timeout=120)


def one_error(done: subprocess.CompletedProcess) -> str:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("kind", "status", "says"),
    [
        ("none", 0, []),
        ("CheckpointError", 2, ["error: the reason"]),
        ("TokenizerError", 2, ["error: the reason"]),
        ("KeyboardInterrupt", 130, ["interrupted"]),
    ],
)
def test_errors_and_log_of_an_entry_point(kind, status, says):
    done = run("-c", PROGRAM, kind, "--seen")
    assert (done.returncode, done.stderr.splitlines()) == (status, ["seen: True", *says])


def test_a_bug_shows_its_traceback_and_a_stray_argument_is_refused():
    done = run("-c", PROGRAM, "ZeroDivisionError")
    assert done.returncode == 1
    assert "Traceback" in done.stderr and done.stderr.endswith("ZeroDivisionError: the reason\n")
    done = run("-c", PROGRAM, "ImportError")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ImportError: the reason")
    assert "unexpected argument 'seen'" in one_error(run("-c", PROGRAM, "none", "seen"))


@pytest.mark.parametrize(
    "command, says",
    [
        (["train", "--workdr=run"], ["flag 'workdr'"]),
        (["plan", "--topology=v4:2x2x1", "--slices=two"], ["flag --slices=two"]),
        (["evaluate"], ["--workdir must have a value"]),
        (["evaluate", "--workdir=run"], ["name one of", "--benchmark", "--dataset"]),
        (["evaluate", "--workdir=run", "--dataset=m3w", "--shots=4"], ["--shots does nothing with --dataset"]),
        (["evaluate", "--workdir=run", "--benchmark=okvqb"], ["no benchmark 'okvqb'"]),
        (["evaluate", "--workdir=run", "--benchmark=okvqa"], ["needs --data_dir"]),
        (["evaluate", "--workdir=run", "--benchmark=okvqa", "--data_dir=x", "--shots=a"], ["whole numbers"]),
        (["generate", "--workdir"], ["flag --workdir"]),
    ],
    ids=lambda words: words[0],
)
def test_a_wrong_or_missing_flag_is_a_mistake(command, says):
    """Not a failure that a second start could mend: launch scripts retry all but 2."""
    name, *flags = command
    said = one_error(run("-m", f"flamingo_jax.{name}", *flags))
    assert all(word in said for word in says)


def test_help_is_no_mistake():
    done = run("-c", PROGRAM, "none", "--helpfull")
    assert "--[no]seen" in done.stdout and done.stderr == ""


def train(tiny_gin: Path, tmp_path: Path, *flags: str) -> str:
    """The error of a training command that must fail before it writes anything."""
    workdir = tmp_path / "workdir"
    gin_file = [] if any(flag.startswith("--gin_file") for flag in flags) else [f"--gin_file={tiny_gin}"]
    before = sorted(tmp_path.iterdir())
    said = one_error(run("-m", "flamingo_jax.train", f"--workdir={workdir}", *gin_file, *flags))
    assert sorted(tmp_path.iterdir()) == before
    return said


def test_a_missing_gin_file(tiny_gin, tmp_path):
    assert "absent.gin" in train(tiny_gin, tmp_path, "--gin_file=absent.gin")


def test_a_misspelt_binding(tiny_gin, tmp_path):
    assert "'stepz'" in train(tiny_gin, tmp_path, "--gin=run.RunConfig.stepz = 3")


def test_a_freezing_pattern_that_matches_nothing(tiny_gin, tmp_path):
    rules = "--gin=run.RunConfig.freezing = (('lm/.*', 'frozen'), ('.*', 'frozen'))"
    said = train(tiny_gin, tmp_path, rules)
    assert "'lm/.*'" in said and "resampler/" in said  # the pattern, and what parameters are called


def test_damaged_weights(tiny_gin, tmp_path):
    weights = tiny_gin.parent / "language.safetensors"
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(weights.read_bytes()[:-100])
    assert str(damaged) in train(tiny_gin, tmp_path, f"--gin=pretrained.PretrainedConfig.language = '{damaged}'")


def test_weights_without_a_tokenizer(tiny_gin, tmp_path):
    weights = tmp_path / "language.safetensors"
    weights.write_bytes(b"not read before the tokenizer")
    paths = [f"--gin=pretrained.PretrainedConfig.{name}" for name in ("language", "tokenizer")]
    said = train(tiny_gin, tmp_path, f"{paths[0]} = '{weights}'", f"{paths[1]} = ''")
    assert f"{weights}: no tokenizer.json" in said and "PretrainedConfig.tokenizer" in said


@pytest.fixture
def without_gcsfs(tmp_path_factory, monkeypatch):
    """Processes in which the package behind gs:// cannot be imported, whether it is installed or not."""
    folder = tmp_path_factory.mktemp("shadow")
    (folder / "gcsfs.py").write_text("raise ImportError('shadowed')\n")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize("binding", ["", "--gin=pretrained.PretrainedConfig.tokenizer = 'gs://bucket/tokenizer.json'"])
def test_a_bucket_without_its_package(without_gcsfs, tiny_gin, tmp_path, binding):
    workdir = [] if binding else ["--workdir=gs://bucket/run"]  # the last --workdir counts
    said = train(tiny_gin, tmp_path, *filter(None, [binding]), *workdir)
    assert "gcsfs" in said and "pip install 'flamingo-jax[gcs]'" in said


@pytest.mark.parametrize("command", [["evaluate", "--dataset=m3w"], ["generate", "--prompt=hello"]])
def test_no_run_in_the_workdir(command, tmp_path):
    name, *flags = command
    workdir = tmp_path / "workdir"
    assert str(workdir) in one_error(run("-m", f"flamingo_jax.{name}", f"--workdir={workdir}", *flags))
    assert not workdir.exists()
