"""A run's configuration, read from where it left it."""

import dataclasses

import pytest
from etils import epath

from flamingo_jax.config import ConfigError, resolve, to_json
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.run_file import read_run, write_run
from tests import tiny_run


def test_what_was_written_is_read(tmp_path):
    config = resolve(RunConfig, [str(tiny_run.write_pairs_only(tmp_path / "tiny.gin"))], [])
    (tmp_path / "config.json").write_text(to_json(config))
    assert to_json(read_run(epath.Path(tmp_path))) == to_json(config)


@pytest.mark.parametrize("content", ["{", "[]", '{"steps": 3}', '{"_type": "os.path"}', "[" * 100_000])
def test_a_file_that_cannot_be_used_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path / "config.json")):
        read_run(epath.Path(tmp_path))


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the workdir of a run"):
        read_run(epath.Path(tmp_path))


def test_each_update_has_the_configuration_it_was_made_by(tmp_path):
    first = resolve(RunConfig, [str(tiny_run.write_pairs_only(tmp_path / "tiny.gin"))], [])
    second, third = (dataclasses.replace(first, steps=steps) for steps in (first.steps + 1, first.steps + 2))
    workdir = epath.Path(tmp_path / "run")
    workdir.mkdir()
    for config, step in ((first, 0), (first, 3), (second, 5), (second, 7), (third, 12), (third, 12)):
        write_run(workdir, config, step)
    made_by = {step: read_run(workdir, step).steps - first.steps for step in (1, 5, 6, 12, 13, 99)}
    assert made_by == {1: 0, 5: 0, 6: 1, 12: 1, 13: 2, 99: 2}
    assert read_run(workdir).steps == third.steps
    write_run(workdir, first, 0)  # a run that begins anew
    assert read_run(workdir, 5).steps == first.steps and len(list(workdir.iterdir())) == 1
