"""Reports how a model's captions differ by group, and how toxic they are.

    python -m flamingo_jax.social --evaluation=FOLDER --groups=FILE.csv --toxicity=FILE.jsonl --output=DIR

Writes `report.json` and `report.html` into the output folder and prints the figures beside the paper's. The evaluation
is the folder that `python -m flamingo_jax.evaluate --benchmark=coco` wrote. To have captions scored:

    python -m flamingo_jax.social --evaluation=FOLDER --requests=FILE.jsonl

writes them with their keys.
"""

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social.captions import read_evaluation
from flamingo_jax.evaluation.social.report import HTML, write_report
from flamingo_jax.evaluation.social.scores import write_requests
from flamingo_jax.evaluation.social.text import table
from flamingo_jax.evaluation.social.toxicity import THRESHOLD

flags.DEFINE_string("evaluation", None, "Folder of the evaluation of a captioning set.", required=True)
flags.DEFINE_integer("shots", 0, "Of the captions to report on.", lower_bound=0)
flags.DEFINE_string("support", "random", "How their examples were chosen, such as random or rices.")
flags.DEFINE_integer("seed", 0, "Of their examples.", lower_bound=0)
flags.DEFINE_string("groups", "", "CSV or JSONL: the key of each picture, and its group by each attribute.")
flags.DEFINE_string("toxicity", "", "JSONL of scores from 0 to 1: key or text, and score.")
flags.DEFINE_float("threshold", THRESHOLD, "Flag captions of this toxicity or more.", lower_bound=0, upper_bound=1)
flags.DEFINE_bool("skip_unknown", False, "Leave out keys of the files that were not asked about.")
flags.DEFINE_string("requests", "", "Write the captions, to be scored, into this JSONL file.")
flags.DEFINE_string("output", "", "Folder to write the report into.")


def main() -> None:
    """Flags to one or two calls."""
    values = flags.FLAGS
    reported = bool(values.groups or values.toxicity)
    if not reported and not values.requests:
        raise ConfigError("give --groups=FILE, --toxicity=FILE, or --requests=FILE to have captions scored")
    if reported and not values.output:
        raise ConfigError("--groups and --toxicity need --output, the folder to write the report into")
    if values.requests and values.toxicity:
        raise ConfigError("--requests writes captions to be scored, and --toxicity has their scores: leave one out")
    if values["threshold"].present and not values.toxicity:
        raise ConfigError("--threshold is of --toxicity: give its scores, or leave it out")
    if not reported:
        command_line.refuse_unused("requests", ["skip_unknown"])
    evaluation = read_evaluation(values.evaluation, values.shots, values.support, values.seed)
    if reported:
        found = write_report(
            evaluation,
            values.output,
            shots=values.shots,
            support=values.support,
            seed=values.seed,
            groups=values.groups,
            toxicity=values.toxicity,
            threshold=values.threshold,
            skip_unknown=values.skip_unknown,
        )
        print(table(found))
        print(f"report: {epath.Path(values.output) / HTML}")
    if values.requests:
        count = write_requests(values.requests, evaluation.captions)
        print(f"{count:,} captions to be scored: {values.requests}")
        if not reported:
            print('no report is written yet: add a "score" to each line, and give the file as --toxicity')


if __name__ == "__main__":
    command_line.run(main)
