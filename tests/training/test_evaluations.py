"""Evaluations in the middle of a run: when they are made, of what, and what is noted."""

import dataclasses
import json

import jax
import numpy as np

from flamingo_jax.training.evaluations import Evaluations
from flamingo_jax.training.loop import train
from tests.training.train_program import shorter


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Finds the sum of all trainable and frozen values."""

    every: int
    name: str = "sum"

    def make(self, design):
        """See `training.evaluations.Evaluation`."""
        self.seen.append(design)

        def evaluate(params, give_up):
            assert not give_up()
            return {f"eval/{self.name}": float(sum(np.abs(leaf).sum() for leaf in jax.tree.leaves(params)))}

        return evaluate

    seen = []  # noqa: RUF012


def test_each_has_its_own_time_and_all_see_the_last_update():
    evaluations = Evaluations((Sizes(4, "a"), Sizes(6, "b")), None, 14)
    assert [step for step in range(1, 15) if evaluations.due(step)] == [4, 6, 8, 12, 14]
    found = [set(evaluations(step, {"x": np.ones(2)}, lambda: False)) for step in (4, 6, 12, 14)]
    assert found == [{"eval/a"}, {"eval/b"}, {"eval/a", "eval/b"}, {"eval/a", "eval/b"}]
    assert not Evaluations((), None, 14).due(14)


def test_a_run_notes_what_they_find_and_trains_as_without(tiny_config, tmp_path):
    def lines(name):
        return [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]

    def losses(name):
        return {line["step"]: line["loss"] for line in lines(name) if "loss" in line}

    config = shorter(tiny_config, 3)
    train(config, str(tmp_path / "without"))
    train(dataclasses.replace(config, evaluations=(Sizes(2),)), str(tmp_path / "with"))
    assert losses("with") == losses("without")
    noted = [line for line in lines("with") if line.get("event") == "evaluated"]
    assert [line["step"] for line in noted] == [2, 3]
    values = [line["figures"]["eval/sum"] for line in noted]
    assert values[0] != values[1] and all(value > 0 for value in values)
    last = [line for line in lines("with") if "loss" in line][-1]
    assert last["badput/evaluate"] > 0
