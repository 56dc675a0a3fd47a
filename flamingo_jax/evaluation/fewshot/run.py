"""Evaluates a model on a benchmark: asks, keeps every answer as it comes, scores, and writes the summary and a page."""

import dataclasses
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from etils import epath
from tqdm import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Prediction, Score
from flamingo_jax.evaluation.fewshot.asking import Asker, decoding_of, medium_facts, prediction_of
from flamingo_jax.evaluation.fewshot.config import RANDOM, RICES, FewShotConfig
from flamingo_jax.evaluation.fewshot.features import features
from flamingo_jax.evaluation.fewshot.page import RowFiles, write_page
from flamingo_jax.evaluation.fewshot.rows import Rows
from flamingo_jax.evaluation.fewshot.shown import explained
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.summary import result
from flamingo_jax.evaluation.fewshot.support import RandomSelection, Rices, Selection
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

_logger = logging.getLogger(__name__)

_BATCHES = 4  # batches in a chunk: like prompts go together, and a kill costs no more than this


def evaluate_few_shot(
    session: Session, name: str, benchmark: Benchmark, split: Split, config: FewShotConfig, output: epath.Path
) -> Mapping[str, Any]:
    """Evaluates a model, or goes on with an evaluation that was stopped, and returns the summary.

    In `output` stand afterwards: `summary.json`; `examples.html`; `rows/`, every prompt and answer as JSON lines;
    `support.json`, where the examples' images are; and for splits whose references are kept back `server/`, the files
    for the evaluation server.

    Args:
      name: of the model, for people.
      split: see `open_split`; it is opened before the model, which takes longer.

    Raises:
      ConfigError: a picture is damaged, or `output` holds an evaluation of other settings.
    """
    session = dataclasses.replace(session, rows=config.batch_size, remembered=0)
    shots = _shots(benchmark, split, config)
    settings = _settings(session, benchmark, split, config)
    _check_settings(output, settings)
    support = {item.key: medium_facts(item) for item in split.support}
    write_whole(output / "support.json", json.dumps(support))
    results, baselines, files = [], [], []
    try:
        for selection, blind in _ways(config):
            way, select = "blind" if blind else selection, _select(selection, session, split, output)
            asker = Asker(session, benchmark, split, config, selection, select, blind)
            for count in shots:
                rows = {
                    seed: _asked(asker, output, way, count, seed, split, config)
                    for seed in _seeds(benchmark, config, count, selection)
                }
                files += [] if blind else [each.path for each in rows.values()]
                predictions = {seed: [*map(prediction_of, each.rows)] for seed, each in rows.items()}
                if not split.referenced:
                    _write_server_answers(output, benchmark, split, predictions, way, count)
                    continue
                scores = {seed: benchmark.score(split.queries, each) for seed, each in predictions.items()}
                _share(rows, scores)
                found = result(benchmark, split.queries, predictions, scores, count, selection)
                if blind:
                    baselines.append({"name": "blind", **found})
                else:
                    results.append(found)
    except MediaError as error:
        raise explained(error, benchmark.title) from error
    summary = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "metric": benchmark.metric,
        "split": split.name,
        "step": session.step,
        "model": {"name": name},
        "decoding": settings["decoding"],
        "items": len(split.queries),
        "support_items": len(split.support),
        "missing": split.missing,
        "references": split.referenced,
        "results": results,
        "baselines": baselines,
    }
    write_whole(output / "summary.json", json.dumps(summary, indent=1) + "\n")
    write_page(output / "examples.html", summary, RowFiles(files), support)
    return summary


def _ways(config: FewShotConfig) -> Iterator[tuple[str, bool]]:
    """How examples are chosen, and whether the model is blind; blind ones see the random examples' texts."""
    yield from ((selection, False) for selection in config.selections)
    if config.blind:
        yield RANDOM, True


def _shots(benchmark: Benchmark, split: Split, config: FewShotConfig) -> list[int]:
    """The numbers of shots that make sense here; the log names those that do not."""
    most = min(benchmark.max_shots, len(split.support))
    if dropped := [count for count in config.shots if count > most]:
        why = f"it has {len(split.support)} examples" if most < benchmark.max_shots else "as in the paper"
        _logger.warning("%s: no prompts of %s shots (%s)", benchmark.title, ", ".join(map(str, dropped)), why)
    kept = [count for count in config.shots if count <= most]
    if not kept:
        raise ConfigError(f"{benchmark.title} has prompts of at most {most} shots: name some of these in --shots")
    return kept


def _seeds(benchmark: Benchmark, config: FewShotConfig, shots: int, selection: str) -> tuple[int, ...]:
    """Those that make a difference."""
    drawn = benchmark.text_examples if not shots else selection == RANDOM or config.permutations > 1
    return config.seeds if drawn else config.seeds[:1]


def _select(selection: str, session: Session, split: Split, output: epath.Path) -> Selection:
    if selection == RICES:
        queries = features(session, split.queries, output / "features" / "queries.npz")
        return Rices(queries, features(session, split.support, output / "features" / "examples.npz"))
    return RandomSelection(len(split.support))


def _asked(
    asker: Asker, output: epath.Path, name: str, shots: int, seed: int, split: Split, config: FewShotConfig
) -> Rows:
    """All rows, those that a stopped evaluation left and those that are asked for now."""
    keys = [item.key for item in split.queries]
    rows = Rows(output / "rows" / f"{name}-{shots}-{seed}.jsonl", keys, _BATCHES * config.batch_size)
    with tqdm(total=len(keys), initial=len(rows.rows), desc=f"{name}, {shots} shots, seed {seed}", leave=False) as bar:
        for chunk in rows.chunks():
            rows.add(asker.ask(chunk, shots, seed))
            bar.update(len(chunk))
    return rows


def _share(rows: Mapping[int, Rows], scores: Mapping[int, Score]) -> None:
    """Puts each item's share of the score into its row."""
    for seed, score in scores.items():
        for row, share in zip(rows[seed].rows, score.per_item, strict=bool(score.per_item)):
            row["share"] = share
        rows[seed].rewrite()


def _settings(session: Session, benchmark: Benchmark, split: Split, config: FewShotConfig) -> dict[str, Any]:
    """What answers in one folder have in common."""
    if split.queries[0].candidates:
        decoding = {"method": "ranked candidates", "permutations": config.permutations, "per_token": config.per_token}
    else:
        decoding = dataclasses.asdict(decoding_of(benchmark, config))
    return {
        "benchmark": benchmark.name,
        "split": split.name,
        "step": session.step,
        "queries": len(split.queries),
        "examples": len(split.support),
        "batch_size": config.batch_size,
        "decoding": decoding,
    }


def _check_settings(output: epath.Path, settings: Mapping[str, Any]) -> None:
    path = output / "settings.json"
    if path.exists():
        before = json.loads(path.read_text())
        if changed := [name for name in settings if before.get(name) != settings[name]]:
            differences = ", ".join(f"{name} {before.get(name)!r}, now {settings[name]!r}" for name in changed)
            raise ConfigError(f"{output} holds an evaluation of other settings ({differences}): give another --output")
        return
    output.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(settings, indent=1) + "\n")


def _write_server_answers(
    output: epath.Path,
    benchmark: Benchmark,
    split: Split,
    predictions: Mapping[int, list[Prediction]],
    way: str,
    shots: int,
) -> None:
    if benchmark.server_answers is None:
        raise ConfigError(f"{benchmark.title}: split {split.name!r} has no references and no evaluation server")
    (output / "server").mkdir(exist_ok=True)
    for seed, each in predictions.items():
        path = output / "server" / f"{way}-{shots}-{seed}.json"
        write_whole(path, json.dumps(benchmark.server_answers(split.queries, each)))
        _logger.info("%s: the references of split %s are kept back; hand in %s", benchmark.title, split.name, path)
