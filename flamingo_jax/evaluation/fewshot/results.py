"""The figures of an evaluation: of every set of rows in its folder that is complete, whichever command asked for it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Prediction, Score
from flamingo_jax.evaluation.fewshot.asking import prediction_of
from flamingo_jax.evaluation.fewshot.config import RANDOM
from flamingo_jax.evaluation.fewshot.rows import Rows
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.summary import result

BLIND = "blind"
"""How rows are called for which no image was seen; else by the selection of the examples."""
_FILE = re.compile(r"(\w+)-(\d+)-(\d+)\.jsonl")


class Setting(NamedTuple):
    """What the rows of one file have in common, seeds aside."""

    way: str
    shots: int


class Results:
    """Scores rows as they become complete."""

    def __init__(self, folder: epath.Path, benchmark: Benchmark, split: Split, chunk: int):
        self._folder, self._benchmark, self._split, self._chunk = folder, benchmark, split, chunk
        self._keys = [item.key for item in split.queries]
        self._scored: dict[Setting, dict[int, tuple[Sequence[Prediction], Score]]] = {}
        self._figures: dict[Setting, dict[str, Any]] = {}  # intervals can take minutes
        self._taken: set[tuple[Setting, int]] = set()
        self._look()

    def path(self, setting: Setting, seed: int) -> epath.Path:
        """Where rows are."""
        return self._folder / f"{setting.way}-{setting.shots}-{seed}.jsonl"

    def rows(self, setting: Setting, seed: int) -> Rows:
        """The rows that there are already."""
        return Rows(self.path(setting, seed), self._keys, self._chunk)

    def add(self, setting: Setting, seed: int, rows: Rows) -> list[Prediction]:
        """Takes complete rows: scores them, and notes each item's share in them. Gives what they say."""
        predictions, noted = [], []
        for row in rows:
            predictions.append(prediction_of(row))
            noted.append(row["share"])
        if self._split.referenced:
            score = self._benchmark.score(self._split.queries, predictions)
            shares = list(score.per_item) or [None] * len(noted)
            if noted != shares:
                rows.note("share", shares)
            # Where each item has its share, intervals need no predictions; those of ImageNet are 400 MB a seed.
            self._scored.setdefault(setting, {})[seed] = (() if score.per_item else predictions, score)
            self._figures.pop(setting, None)
        self._taken.add((setting, seed))
        return predictions

    def files(self) -> list[epath.Path]:
        """The complete rows that a page of examples may show: those of models that see."""
        return [self.path(setting, seed) for setting, seed in sorted(self._taken) if setting.way != BLIND]

    def _look(self) -> None:
        """Takes what is complete and new: other commands may be at work in the folder."""
        matches = [_FILE.fullmatch(path.name) for path in self._folder.glob("*.jsonl")]
        asked = {(Setting(match[1], int(match[2])), int(match[3])) for match in matches if match}
        for setting, seed in sorted(asked - self._taken):
            rows = self.rows(setting, seed)
            if rows.complete:
                self.add(setting, seed, rows)

    def scored(self, setting: Setting, seed: int) -> bool:
        """Whether the rows are complete, and taken."""
        return seed in self._scored.get(setting, {})

    def figures(self) -> Mapping[str, list[dict[str, Any]]]:
        """`results` and `baselines` of the summary, by selection and shots, of all that is complete by now."""
        self._look()
        found: dict[str, list[dict[str, Any]]] = {"results": [], "baselines": []}
        for setting in sorted(self._scored):
            if setting not in self._figures:
                self._figures[setting] = self._result(setting)
            found["baselines" if setting.way == BLIND else "results"].append(self._figures[setting])
        return found

    def _result(self, setting: Setting) -> dict[str, Any]:
        seeds = sorted(self._scored[setting].items())
        predictions, scores = ({seed: each[place] for seed, each in seeds} for place in (0, 1))
        blind = setting.way == BLIND
        selection = RANDOM if blind else setting.way
        figures = result(self._benchmark, self._split.queries, predictions, scores, setting.shots, selection)
        return {"name": BLIND, **figures} if blind else figures
