"""Which Beam runner a build runs on, from Beam's own flags."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.transforms import environments

from data_pipelines.output import BuildError

_LOCAL = ("", "directrunner", "fnapirunner")
_PROCESSES = "multi_processing"


@dataclasses.dataclass(frozen=True)
class Runner:
    """Where a pipeline runs. `local`: on this machine, in processes that reach its folders."""

    runner: beam.runners.PipelineRunner | str
    options: pipeline_options.PipelineOptions
    local: bool


def from_flags(flags: Sequence[str]) -> Runner:
    """The runner that Beam's flags ask for; DirectRunner, in this process, without any.

    `--direct_num_workers=4` alone means four processes: without a running mode Beam itself would ignore the number.
    DirectRunner is Beam's in-memory runner here, never the Prism that newer releases download in its place.

    Raises:
      BuildError: Beam does not know a flag, which it would ignore by itself.
    """
    flags = list(flags)
    if unknown := _unknown(flags):
        raise BuildError(f"unknown flags: {' '.join(unknown)}; neither this command nor Beam has them (see --help)")
    given = pipeline_options.PipelineOptions(flags).get_all_options(drop_default=True)
    options = pipeline_options.PipelineOptions(flags)
    # Beam infers types of what generators yield from their annotations, and does not know drops at the side.
    options.view_as(pipeline_options.TypeOptions).pipeline_type_check = False
    if given.get("runner", "").lower() not in _LOCAL:
        return Runner(given["runner"], options, local=False)
    return Runner(_direct(options.view_as(pipeline_options.DirectOptions), given), options, local=True)


def _direct(options: pipeline_options.DirectOptions, given: dict) -> fn_runner.FnApiRunner:
    if options.direct_num_workers == 1 or given.get("direct_running_mode", _PROCESSES) != _PROCESSES:
        return fn_runner.FnApiRunner()
    # What a worker logs goes nowhere: what it raises is raised here as well, and Beam would print it three times.
    options.direct_running_mode = "in_memory"
    command = f"exec {shlex.quote(sys.executable)} -m data_pipelines.pipeline.local_worker 2>{os.devnull}"
    return fn_runner.FnApiRunner(environments.SubprocessSDKEnvironment.from_command_string(command))


def _unknown(flags: Sequence[str]) -> list[str]:
    parser = pipeline_options._BeamArgumentParser(allow_abbrev=False)
    for options in {*pipeline_options.PipelineOptions.__subclasses__()}:
        options._add_argparse_args(parser)
    return parser.parse_known_args(list(flags))[1]
