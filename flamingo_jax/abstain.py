"""Fits the rule by which a model says "I don't know.":

    python -m flamingo_jax.abstain --workdir=DIR --dev=EVALUATION --test=EVALUATION --risk=0.25

`--dev` and `--test` are folders of evaluations that were asked with `--confidence`, such as those of

    python -m flamingo_jax.evaluate --workdir=DIR --benchmark=answerability --query_split=dev --shots=0 --confidence

Writes `abstention.json` into the workdir, and with `--test` `selective.html` and `selective.json` beside it: what the
rule does on questions that it was not fitted to.
"""

import json

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.evidence import EvidenceConfig
from flamingo_jax.evaluation.confidence.fitting import fit
from flamingo_jax.evaluation.confidence.rule import FILE, AbstentionRule
from flamingo_jax.evaluation.fewshot.config import RANDOM, SELECTIONS
from flamingo_jax.evaluation.selective.answers import Answers, read_answers, refuse_others
from flamingo_jax.evaluation.selective.held_out import held_out
from flamingo_jax.evaluation.selective.page import render
from flamingo_jax.evaluation.selective.text import dev_line, table
from flamingo_jax.html.files import write_whole

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_string("dev", None, "Folder of the evaluation to fit the rule to.", required=True)
flags.DEFINE_string("test", "", "Folder of an evaluation to judge it by.")
flags.DEFINE_float(
    "risk", None, "Share of what is answered that may be wrong.", required=True, lower_bound=0.0, upper_bound=1.0
)
flags.DEFINE_float("delta", 0.1, "Probability that the risk is higher all the same.", lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer("shots", 0, "Of the answers: the number of examples.", lower_bound=0)
flags.DEFINE_enum("support", RANDOM, list(SELECTIONS), "Of the answers: how examples were chosen.")


def main() -> None:
    """Flags to one call."""
    values = flags.FLAGS
    for name in ("risk", "delta"):
        if not 0 < values[name].value < 1:
            raise ConfigError(f"--{name} is above 0 and below 1, got {values[name].value}")
    workdir = epath.Path(values.workdir)
    if not workdir.is_dir():
        raise ConfigError(f"there is no workdir {workdir}")
    dev, test = (
        read_answers(epath.Path(folder), values.shots, values.support) if folder else None
        for folder in (values.dev, values.test)
    )
    if test is not None:
        refuse_others(dev, test)
    rule = _fit(dev, values.risk, values.delta)
    rule.save(workdir / FILE)
    print(dev_line(rule))
    print(f"rule: {workdir / FILE}")
    if test is not None:
        _judge(rule, test, workdir)


def _fit(dev: Answers, risk: float, delta: float) -> AbstentionRule:
    return fit(
        dev.evidence,
        dev.correct,
        risk,
        delta,
        gathering=EvidenceConfig(**dev.settings["confidence"]),
        step=dev.settings["step"],
        parameters=dev.settings["parameters"],
        ranked=dev.ranked,
    )


def _judge(rule: AbstentionRule, test: Answers, workdir: epath.Path) -> None:
    found = held_out(rule, test)
    title = f"{test.settings['benchmark']}, {test.settings['split']}"
    write_whole(workdir / "selective.json", json.dumps(found, indent=1) + "\n")
    write_whole(workdir / "selective.html", render(rule, found, title))
    print(table(rule, found))
    print(f"page: {workdir / 'selective.html'}")


if __name__ == "__main__":
    command_line.run(main)
