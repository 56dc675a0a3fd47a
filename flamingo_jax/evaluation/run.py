"""Evaluates a workdir on held-out documents and writes `summary.json`, `heldout.json` and `report.html` there."""

import base64
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from PIL import Image as PillowImage

from flamingo_jax.config import ConfigError
from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.media import load_media
from flamingo_jax.data.sources import open_source
from flamingo_jax.evaluation.cases import Case, Truth, attributes_in, find_cases
from flamingo_jax.evaluation.heldout import Reader, accuracy, close_gates, majority, wrong_image
from flamingo_jax.evaluation.report import write_report
from flamingo_jax.evaluation.report.metrics_log import read_metrics
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session
from flamingo_jax.training.run_file import read_run
from flamingo_jax.training.status.spent import DOWN

_logger = logging.getLogger(__name__)


def evaluate(
    workdir: str,
    dataset: str,
    split: str = "validation",
    truth_path: str = "",
    corpora: str = "",
    max_cases: int = 128,
    max_new_tokens: int = 32,
) -> epath.Path:
    """Evaluates the newest checkpoint of `workdir` and writes its report.

    Args:
      workdir: of a training run.
      dataset: which dataset of its mixture.
      split: of held-out documents.
      truth_path: a `truth.json` of the embedded web, for accuracies; empty for none.
      corpora: folder of the datasets, whose drop tables the report shows; empty for none.
      max_cases: pictures to evaluate, at most.
      max_new_tokens: of each caption that the model writes.

    Returns:
      Where the report is.

    Raises:
      ConfigError: the run, the dataset or the ground truth is not there, or has too few pictures.
    """
    began, folder = time.perf_counter(), epath.Path(workdir)
    configs = dict(read_run(folder).mixture.datasets)
    if dataset not in configs:
        raise ConfigError(f"{workdir} was trained on {', '.join(configs)}: there is no dataset {dataset!r} among them")
    config, session = configs[dataset], Session.open(folder)
    truth = Truth.load(truth_path, dataset) if truth_path else None
    source = open_source(config.path, split)
    cases = find_cases((source[place] for place in range(len(source))), truth, max_cases)
    if not cases:
        raise ConfigError(f"no picture with a caption in split {split!r} of {config.path}: nothing to evaluate")
    partner = wrong_image(cases)
    _logger.info("evaluating step %d on %d pictures of %s (%s)", session.step, len(cases), dataset, split)

    reader = Reader(session, config, cases, max_new_tokens)
    own = [case.document for case in cases]
    swapped = [case.with_medium(cases[other].medium) for case, other in zip(cases, partner, strict=True)]
    matched = reader.score(cases, own, session.params)
    shuffled = reader.score(cases, swapped, session.params)
    frozen_lm = reader.score(cases, own, close_gates(session.params))
    answers, wrong_answers = reader.answer(own), reader.answer(swapped)
    summary = {
        "heldout_nll_matched": matched.nll,
        "heldout_nll_shuffled_images": shuffled.nll,
        "heldout_nll_frozen_lm": frozen_lm.nll,
        "heldout_pictures": len(cases),
        "params_trainable": session.design.count(frozen=False),
        "params_frozen": session.design.count(frozen=True),
        "steps": session.step,
    }
    details: dict[str, Any] = {"examples": _examples(cases, partner, config, matched, shuffled, answers, wrong_answers)}
    if truth is not None:
        training = _training_attributes(config, truth)
        scores = {
            "accuracy": accuracy(cases, answers, truth.words),
            "accuracy_blind": accuracy(cases, reader.answer(own, blind=True), truth.words),
            "accuracy_wrong_image": accuracy(cases, wrong_answers, truth.words),
            "accuracy_majority": majority(cases, training, truth),
        }
        details |= scores
        summary |= {f"heldout_{name}": float(np.mean([*score.values()])) for name, score in scores.items()}
        for example, case, answer in zip(details["examples"], cases, answers, strict=True):
            said = attributes_in(answer, truth.words)
            example["attributes"] = {name: [case.attributes[name], said[name]] for name in truth.words}

    summary |= _training_figures(folder) | {"seconds_evaluation": time.perf_counter() - began}
    drops = sorted(epath.Path(corpora).glob("*/drops.json")) if corpora else []
    details["corpora"] = [str(path.resolve()) for path in drops]  # for reports that are written later
    write_whole(folder / "heldout.json", json.dumps(details, indent=1))
    write_whole(folder / "summary.json", json.dumps(summary, indent=1))
    return write_report(folder, corpora=drops)


def _examples(
    cases: Sequence[Case], partner: Sequence[int], config: DatasetConfig, matched, shuffled, answers, wrong_answers
) -> list[dict[str, Any]]:
    pictures = [_picture(case, config) for case in cases]
    return [
        {
            "source": case.medium.source,
            "image": pictures[place],
            "wrong_image": pictures[partner[place]],
            "truth": case.caption,
            "answer": answers[place],
            "answer_wrong_image": wrong_answers[place],
            "nll": matched.nlls[place],
            "nll_wrong_image": shuffled.nlls[place],
        }
        for place, case in enumerate(cases)
    ]


def _picture(case: Case, config: DatasetConfig) -> str:
    """What the model saw of the case (of a clip, the first frame), as base64 of a PNG file."""
    pixels = load_media([case.medium], 1, config, None)[0][0, 0]
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "png")
    return base64.b64encode(buffer.getvalue()).decode()


def _training_attributes(config: DatasetConfig, truth: Truth) -> list[Mapping[str, str]]:
    """The attributes of the pictures that were trained on."""
    source = open_source(config.path, config.split)
    media = (item for place in range(len(source)) for item in source[place].media)
    return [truth.images[item.source]["attributes"] for item in media if item.source in truth.images]


def _training_figures(folder: epath.Path) -> dict[str, float]:
    """First and last loss, median speed and duration, from `metrics.jsonl`; nothing where there is none."""
    path = folder / "metrics.jsonl"
    if not path.exists() or "loss" not in (log := read_metrics(path, [])).columns:
        return {}
    columns, spent = log.columns, log.spent
    return {
        "loss_first": float(columns["loss"][0]),
        "loss_last": float(columns["loss"][-1]),
        "tokens_per_second": float(np.nanmedian(columns["tokens_per_second"])),
        "seconds": spent.seconds - spent.lost.get(DOWN, 0.0) if spent else float(np.nansum(columns["step_seconds"])),
    }
