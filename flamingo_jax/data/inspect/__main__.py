"""Shows what is in the data, as figures and as a page to read: `python -m flamingo_jax.data.inspect --output=DIR ...`.

Of a run, the rows that the model is given in some steps:

    python -m flamingo_jax.data.inspect --gin_file=gin/runs/quickstart.gin --output=DIR [--step=S] [--dataset=NAME]

The same of an update of a run that was made, numbered as it was logged, also where a rollback had skipped data:

    python -m flamingo_jax.data.inspect --workdir=runs/quickstart --step=N --output=DIR

Of a stored dataset, its documents:

    python -m flamingo_jax.data.inspect --path=corpora/m3w --output=DIR

Writes `statistics.json` and `rows.html` or `documents.html` into DIR, and prints a table.
"""

import json
import sys

from absl import flags
from etils import epath

from flamingo_jax import command_line, config
from flamingo_jax.config import ConfigError
from flamingo_jax.data.inspect.documents import KINDS, inspect_documents
from flamingo_jax.data.inspect.documents_page import documents_page
from flamingo_jax.data.inspect.rows import inspect_rows, open_mixture
from flamingo_jax.data.inspect.rows_page import rows_page
from flamingo_jax.data.inspect.table import documents_table, rows_table
from flamingo_jax.data.sources import open_source
from flamingo_jax.html.files import write_whole
from flamingo_jax.training.history import data_steps, read_history
from flamingo_jax.training.run import RunConfig, run_tokenizer
from flamingo_jax.training.run_file import read_run

command_line.define_gin_flags()
flags.DEFINE_string("output", None, "Folder to write into.", required=True)
flags.DEFINE_integer("rows", 6, "Rows (or documents) of each dataset that the page shows, at most.", lower_bound=1)
flags.DEFINE_string("workdir", "", "Folder of a run that was started, instead of its gin files; may be gs://.")
flags.DEFINE_integer("step", 0, "Of a run: the first step; with --workdir, the update as logged.", lower_bound=0)
flags.DEFINE_integer("data_step", 0, "With --workdir, instead of --step: the first step of the data.", lower_bound=0)
flags.DEFINE_integer("steps", 4, "Of a run: how many steps the figures are of; with --workdir 1.", lower_bound=1)
flags.DEFINE_multi_string("dataset", [], "Of a run: the dataset to look at; may be repeated. All if not given.")
flags.DEFINE_string("path", "", "Folder of a stored dataset, instead of a run.")
flags.DEFINE_string("split", "train", "Of a stored dataset: its split.")
flags.DEFINE_enum(
    "kind", "", ["", *KINDS], "Of a stored dataset: what it should hold; found from the records if empty."
)
flags.DEFINE_integer("documents", 1000, "Of a stored dataset: how many the figures are of, at most.", lower_bound=1)

_SOURCES = ("gin_file", "workdir", "path")
# Flag -> the sources with which it says something.
_MEANT_FOR = {
    "gin": ("gin_file",),
    "step": ("gin_file", "workdir"),
    "data_step": ("workdir",),
    "steps": ("gin_file", "workdir"),
    "dataset": ("gin_file", "workdir"),
    "split": ("path",),
    "kind": ("path",),
    "documents": ("path",),
}


def main() -> None:
    """Flags to one of two calls."""
    values = flags.FLAGS
    named = [name for name in _SOURCES if values[name].value]
    if len(named) != 1:
        raise ConfigError(
            "name one of: a run (--gin_file=...), one that was started (--workdir=...), a stored dataset (--path=...)"
        )
    (source,) = named
    command_line.refuse_unused(source, [name for name, sources in _MEANT_FOR.items() if source not in sources])
    made = {"gin_file": _rows_of_gin_files, "workdir": _rows_of_a_workdir, "path": _documents}[source](values)
    statistics, name, text, table = made
    folder = epath.Path(values.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "statistics.json", json.dumps(statistics, indent=1) + "\n")
    write_whole(folder / name, text)
    print(table)
    print(f"page: {folder / name}")


def _rows_of_gin_files(values: flags.FlagValues) -> tuple[dict, str, str, str]:
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    title = ", ".join(epath.Path(path).name for path in values.gin_file)
    return _rows(values, run, title, range(values.step, values.step + values.steps))


def _rows_of_a_workdir(values: flags.FlagValues) -> tuple[dict, str, str, str]:
    if values["step"].present == values["data_step"].present or (values["step"].present and values.step < 1):
        raise ConfigError("--workdir needs --step=N, the update as it is logged, from 1 (or --data_step=N, from 0)")
    workdir = epath.Path(values.workdir)
    run = read_run(workdir, values.step if values["step"].present else None)
    title, first = workdir.name, values.data_step
    if values["step"].present:
        first, *given_up = data_steps(values.step, read_history(workdir / "metrics.jsonl").records)
        title = f"{workdir.name}, update {values.step:,}"
        for other in given_up:
            print(
                f"an update {values.step} that the run gave up was made of data step {other} (--data_step={other})",
                file=sys.stderr,
            )
    count = values.steps if values["steps"].present else 1
    return _rows(values, run, title, range(first, first + count))


def _rows(values: flags.FlagValues, run: RunConfig, title: str, steps: range) -> tuple[dict, str, str, str]:
    mixture = open_mixture(run.mixture, run_tokenizer(run), values.dataset)
    names = [name for name in mixture.datasets if not values.dataset or name in values.dataset]
    found = inspect_rows(mixture, names, steps, values.rows)
    summaries = {name: dataset.statistics.summary() for name, dataset in found.items()}
    statistics = {"seed": run.mixture.seed, "first_step": steps.start, "steps": len(steps), "datasets": summaries}
    return statistics, "rows.html", rows_page(title, mixture, found, steps), rows_table(summaries)


def _documents(values: flags.FlagValues) -> tuple[dict, str, str, str]:
    source = open_source(values.path, values.split)
    found = inspect_documents(str(source), source, values.kind, values.documents, values.rows)
    summary = found.statistics.summary()
    return summary, "documents.html", documents_page(found), documents_table(summary)


if __name__ == "__main__":
    command_line.run(main)
