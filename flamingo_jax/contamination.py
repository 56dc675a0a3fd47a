"""Looks for a benchmark's pictures in training corpora.

    python -m flamingo_jax.contamination --corpus=corpora/m3w --split=train --benchmark=coco --data_dir=DIR --output=DIR

Writes `report.json` and `report.html` into the output folder. Nothing is changed: as the paper did, it only says what
is there; `report.json` lists the items of the benchmark that are concerned.
"""

import os

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.evaluation.benchmarks import catalog
from flamingo_jax.evaluation.contamination.report import HTML, check

flags.DEFINE_list("corpus", None, "Folders of stored datasets, with commas between them.", required=True)
flags.DEFINE_string("split", "train", "Split of the datasets.")
flags.DEFINE_string("benchmark", None, "Name of the benchmark, such as coco.", required=True)
flags.DEFINE_string("data_dir", None, "Folder of the benchmark's release.", required=True)
flags.DEFINE_string("output", None, "Folder to write into.", required=True)
flags.DEFINE_string("query_split", "", "Split of the benchmark; empty: the one that papers report.")
flags.DEFINE_boolean("dev", True, "Of the paper's DEV sets, also look for the DEV split, cut from the training split.")
flags.DEFINE_boolean("skip_missing", False, "Leave out items whose picture is not there.")
flags.DEFINE_integer("processes", None, "That decode images; all of the machine's cores if not given.", lower_bound=1)


def main() -> None:
    """Flags to one call."""
    values = flags.FLAGS
    found = check(
        values.corpus,
        values.split,
        catalog.find(values.benchmark),
        values.data_dir,
        values.output,
        query_split=values.query_split,
        dev=values.dev,
        skip_missing=values.skip_missing,
        processes=values.processes or os.cpu_count() or 1,
    )
    print(f"{found['found']}; see {epath.Path(values.output) / HTML}")


if __name__ == "__main__":
    command_line.run(main)
