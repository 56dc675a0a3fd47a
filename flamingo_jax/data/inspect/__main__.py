"""Shows what is in the data, as figures and as a page to read: `python -m flamingo_jax.data.inspect --output=DIR ...`.

Of a run, the rows that the model is given in some steps:

    python -m flamingo_jax.data.inspect --gin_file=gin/runs/quickstart.gin --output=DIR [--step=S] [--dataset=NAME]

Of a stored dataset, its documents:

    python -m flamingo_jax.data.inspect --path=corpora/m3w --output=DIR

Writes `statistics.json` and `rows.html` or `documents.html` into DIR, and prints a table.
"""

import json

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
from flamingo_jax.training.run import RunConfig, run_tokenizer

command_line.define_gin_flags()
flags.DEFINE_string("output", None, "Folder to write into.", required=True)
flags.DEFINE_integer("rows", 6, "Rows (or documents) of each dataset that the page shows, at most.", lower_bound=1)
flags.DEFINE_integer("step", 0, "Of a run: the first step.", lower_bound=0)
flags.DEFINE_integer("steps", 4, "Of a run: how many steps the figures are of.", lower_bound=1)
flags.DEFINE_multi_string("dataset", [], "Of a run: the dataset to look at; may be repeated. All if not given.")
flags.DEFINE_string("path", "", "Folder of a stored dataset, instead of a run.")
flags.DEFINE_string("split", "train", "Of a stored dataset: its split.")
flags.DEFINE_enum(
    "kind", "", ["", *KINDS], "Of a stored dataset: what it should hold; found from the records if empty."
)
flags.DEFINE_integer("documents", 1000, "Of a stored dataset: how many the figures are of, at most.", lower_bound=1)

_OF_A_RUN, _OF_A_DATASET = ("gin", "step", "steps", "dataset"), ("split", "kind", "documents")


def main() -> None:
    """Flags to one of two calls."""
    values = flags.FLAGS
    if bool(values.gin_file) == bool(values.path):
        raise ConfigError("name either a run (--gin_file=...) or a stored dataset (--path=...)")
    for name in _OF_A_DATASET if values.gin_file else _OF_A_RUN:
        if values[name].present:
            raise ConfigError(
                f"--{name} does nothing with {'--gin_file' if values.gin_file else '--path'}; leave it out"
            )
    statistics, name, text, table = _rows(values) if values.gin_file else _documents(values)
    folder = epath.Path(values.output)
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "statistics.json", json.dumps(statistics, indent=1) + "\n")
    write_whole(folder / name, text)
    print(table)
    print(f"page: {folder / name}")


def _rows(values: flags.FlagValues) -> tuple[dict, str, str, str]:
    run = config.resolve(RunConfig, values.gin_file, values.gin)
    mixture = open_mixture(run.mixture, run_tokenizer(run), values.dataset)
    names = [name for name in mixture.datasets if not values.dataset or name in values.dataset]
    steps = range(values.step, values.step + values.steps)
    found = inspect_rows(mixture, names, steps, values.rows)
    summaries = {name: dataset.statistics.summary() for name, dataset in found.items()}
    statistics = {"seed": run.mixture.seed, "first_step": steps.start, "steps": len(steps), "datasets": summaries}
    title = ", ".join(epath.Path(path).name for path in values.gin_file)
    return statistics, "rows.html", rows_page(title, mixture, found, steps), rows_table(summaries)


def _documents(values: flags.FlagValues) -> tuple[dict, str, str, str]:
    source = open_source(values.path, values.split)
    found = inspect_documents(str(source), source, values.kind, values.documents, values.rows)
    summary = found.statistics.summary()
    return summary, "documents.html", documents_page(found), documents_table(summary)


if __name__ == "__main__":
    command_line.run(main)
