"""The course of every build: look whether it is done, run the pipeline, publish, report."""

import contextlib
import dataclasses
import json
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from etils import epath

from data_pipelines import output as output_lib
from data_pipelines.command_line import Command
from data_pipelines.pipeline import drops as drops_lib
from data_pipelines.pipeline import pipeline_errors, report_page

PAGE = "report.html"


@dataclasses.dataclass(frozen=True)
class Build:
    """What a builder gives to `run`.

    Attributes:
      identity: JSON values that tell which input and settings the dataset is made of.
      documents: builds the pipeline (`datasets.Documents`); gets the flow and a folder that all workers reach, which
        lives until the dataset is written.
      unit: what the report calls a document, in the plural.
    """

    identity: Mapping
    documents: Callable
    unit: str


def run(command: Command, build: Build) -> dict:
    """Builds the dataset that a command asks for, with its report beside it (`drops.json` and a page), and prints it.

    A dataset of the same identity is left as it is, unless the command asks for another.

    Returns:
      The report, new or old.

    Raises:
      BuildError: another dataset has this name, a flag is unknown, or nothing came through the rules.
      OSError: the dataset cannot be written.
    """
    values = command.values
    if not 0 <= values.validation_fraction < 1:
        raise output_lib.BuildError(
            f"--validation_fraction {values.validation_fraction}: must be at least 0 and less than 1"
        )
    folder = epath.Path(values.output)
    # Through JSON and back, so that it can be compared with what a report holds.
    identity = json.loads(json.dumps({**build.identity, "validation_fraction": values.validation_fraction}))
    report = output_lib.existing_report(folder, values.name)
    if report is not None and not values.overwrite:
        output_lib.check_same(folder / values.name, report, identity)
        print(f"{folder / values.name} exists, built from the same input with the same settings: nothing to do")
        return report
    start = time.monotonic()
    with output_lib.staging(folder, values.name) as temporary:
        rules, kept = _write(temporary, values, command.beam_flags, build)
        drops = [rule.to_json() for rule in rules]
        report = {"dataset": values.name, "kept": kept, "drops": drops, "identity": identity}
        if not kept["documents_per_split"]:
            print(drops_lib.table(report))
            raise output_lib.BuildError("nothing came through the rules; the table above says what dropped it")
        (temporary / values.name / PAGE).write_text(report_page.render(report, rules))
        (temporary / values.name / output_lib.REPORT).write_text(drops_lib.dump(report))
    print(drops_lib.table(report))
    print(
        f"{folder / values.name} is ready after {time.monotonic() - start:.1f} s; {PAGE} in it shows what was dropped"
    )
    return report


def _write(temporary: epath.Path, values, beam_flags: Sequence[str], build: Build) -> tuple[list[drops_lib.Rule], dict]:
    """(what each rule dropped, what was kept) of a dataset written to `temporary`."""
    # Late, because Beam and TFDS take seconds to import: not for --help, nor when there is nothing to do.
    with _quiet():
        import tensorflow_datasets as tfds

        from data_pipelines.pipeline import datasets, runners, writing
        from data_pipelines.progress import Board

        runner = runners.from_flags(beam_flags)
    tfds.display_progress_bar(False)  # ours is enough, and says what it counts
    scratch = temporary / "scratch"
    scratch.mkdir()
    with tempfile.TemporaryDirectory(prefix="progress-") as counts:
        board = Board(Path(counts) if runner.local else None)
        builder = datasets.DocumentDatasetBuilder(
            name=values.name,
            documents=lambda flow: build.documents(flow, scratch),
            layout=writing.Layout(values.validation_fraction),
            board=board,
            scratch=scratch,
            data_dir=temporary,
        )
        config = tfds.download.DownloadConfig(
            try_download_gcs=False, beam_runner=runner.runner, beam_options=runner.options
        )
        with board.shown(), contextlib.suppress(datasets.NothingKeptError), pipeline_errors.in_short():
            builder.download_and_prepare(download_dir=temporary / "downloads", download_config=config)
    kept = {build.unit if what == "documents" else what: count for what, count in sorted(builder.kept.items())}
    kept["documents_per_split"] = {split: info.num_examples for split, info in (builder.info.splits or {}).items()}
    _check(temporary / values.name / datasets.VERSION, kept["documents_per_split"])
    return builder.rules, kept


def _check(directory: epath.Path, splits: Mapping[str, int]) -> None:
    """Reads the index of a dataset back: a disk that filled up may have cut it."""
    import tensorflow_datasets as tfds

    for split, count in splits.items():
        found = len(tfds.builder_from_directory(directory).as_data_source(split))
        if found != count:
            raise OSError(f"{directory} has {found} records in split {split!r}, {count} were written")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of optional parts of Beam that are not installed."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
