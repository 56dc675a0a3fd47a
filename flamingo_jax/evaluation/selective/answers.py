"""The answers of an evaluation that was asked with `--confidence`, and how right each is."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.evidence import Evidence, evidence_of
from flamingo_jax.evaluation.fewshot.row_files import RowFiles


@dataclasses.dataclass(frozen=True)
class Answers:
    """Answers of one setting, one to each question.

    Attributes:
      settings: what the answers of the evaluation have in common.
      keys: of the questions.
      kinds: of the questions; "" where the benchmark knows none.
      evidence: for each answer.
      correct: the share of each that is right, 0 to 1.
    """

    settings: Mapping[str, Any]
    keys: tuple[str, ...]
    kinds: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    correct: Float[np.ndarray, " answers"]

    @property
    def losses(self) -> Float[np.ndarray, " answers"]:
        """1 - the share that is right."""
        return 1 - self.correct

    @property
    def ranked(self) -> bool:
        """Whether candidates were ranked, rather than answers written."""
        return self.settings["decoding"]["method"] == "ranked candidates"


def read_answers(folder: epath.Path, shots: int, support: str) -> Answers:
    """The answers in the folder of an evaluation; where the model itself said that it does not know there is none.

    Of several seeds the first is read: the same question twice would count as two that are independent.

    Raises:
      ConfigError: there are none with so many shots, they have no evidence or no shares of a score, or are damaged.
    """
    folder = epath.Path(folder)
    path = _rows_file(folder, shots, support)
    try:
        settings = dict(json.loads((folder / "settings.json").read_text()))
        rows = [*RowFiles([path])]
        if not settings.get("confidence"):
            raise ConfigError(f"{folder} was asked without evidence: ask anew, with --confidence and another --output")
        scored = [row for row in rows if row["share"] is not None]
        if len(rows) < settings["queries"] or not scored:
            raise ConfigError(
                f"{path} has {len(rows):,} of {settings['queries']:,} answers, {len(scored):,} of them with a share of "
                "the score: finish the evaluation, or take a benchmark whose score is a mean over items"
            )
        shares = np.array([row["share"] for row in scored], np.float64) / 100
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ConfigError(f"{path}: the score is no share of what is right, as it is not from 0 to 100")
        return Answers(
            settings,
            tuple(str(row["key"]) for row in scored),
            tuple(str(row.get("kind", "")) for row in scored),
            tuple(evidence_of(row["evidence"]) for row in scored),
            shares,
        )
    except ConfigError:
        raise
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(f"{path}, or settings.json, is damaged ({error}): ask anew") from error


def refuse_others(dev: Answers, test: Answers) -> None:
    """Refuses to judge a rule by answers that it is not for, or that it was fitted to.

    Raises:
      ConfigError: they are of another model, asked in another way, or of the same questions.
    """
    for name in ("parameters", "step", "decoding", "confidence"):
        if dev.settings.get(name) != test.settings.get(name):
            raise ConfigError(
                f"--dev and --test differ in {name}: {dev.settings.get(name)!r} and {test.settings.get(name)!r}"
            )
    same = set(dev.keys) & set(test.keys)
    if same and dev.settings["benchmark"] == test.settings["benchmark"]:
        raise ConfigError(
            f"--dev and --test share {len(same):,} questions, such as {min(same)}: what a rule was fitted to does not "
            "tell how good it is"
        )


def _rows_file(folder: epath.Path, shots: int, support: str) -> epath.Path:
    if not (folder / "settings.json").exists():
        raise ConfigError(f"{folder} is no folder of an evaluation: it has no settings.json")
    files = {path.name: path for path in (folder / "rows").glob("*.jsonl")}
    found = [name for name in files if name.startswith(f"{support}-{shots}-")]
    if not found:
        raise ConfigError(
            f"{folder} has no answers of {shots} shots with {support} examples (--shots, --support), but "
            f"{', '.join(sorted(files)) or 'none at all'}"
        )
    return files[min(found, key=lambda name: int(name.removesuffix(".jsonl").rpartition("-")[2]))]
