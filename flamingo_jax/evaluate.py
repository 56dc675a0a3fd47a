"""Evaluates a training run on held-out documents: `python -m flamingo_jax.evaluate --workdir=DIR --dataset=m3w`.

Writes `summary.json`, `heldout.json` and `report.html` into the workdir.
"""

from absl import flags

from flamingo_jax import command_line
from flamingo_jax.evaluation.run import evaluate
from flamingo_jax.parallel import distributed

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_string("dataset", None, "Dataset of the run's mixture, such as m3w.", required=True)
flags.DEFINE_string("split", "validation", "Split of held-out documents.")
flags.DEFINE_string("truth", "", "truth.json of the embedded web, for accuracies on named attributes.")
flags.DEFINE_string("corpora", "", "Folder of the datasets, for what was dropped in building them.")
flags.DEFINE_integer("max_cases", 128, "Pictures to evaluate, at most.", lower_bound=2)
flags.DEFINE_integer("max_new_tokens", 32, "Tokens of each caption, at most.", lower_bound=1)


def main() -> None:
    """Flags to one call."""
    distributed.refuse_several("flamingo_jax.evaluate")
    values = flags.FLAGS
    report = evaluate(
        values.workdir,
        values.dataset,
        values.split,
        values.truth,
        values.corpora,
        values.max_cases,
        values.max_new_tokens,
    )
    print(f"report: {report}")


if __name__ == "__main__":
    command_line.run(main)
