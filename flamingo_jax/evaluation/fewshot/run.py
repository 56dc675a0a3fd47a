"""Evaluates a model on a benchmark: asks, keeps every answer as it comes, scores, and writes the summary and a page."""

import dataclasses
import functools
import json
import logging
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath
from tqdm import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.fewshot.asking import Asker, medium_facts
from flamingo_jax.evaluation.fewshot.config import RANDOM, RICES, FewShotConfig
from flamingo_jax.evaluation.fewshot.features import features
from flamingo_jax.evaluation.fewshot.frames import clip_facts, with_frames
from flamingo_jax.evaluation.fewshot.lengths import Prompts, check_lengths
from flamingo_jax.evaluation.fewshot.opening import most_shots
from flamingo_jax.evaluation.fewshot.page import write_page
from flamingo_jax.evaluation.fewshot.results import BLIND, Results, Setting
from flamingo_jax.evaluation.fewshot.row_files import RowFiles
from flamingo_jax.evaluation.fewshot.rows import Rows
from flamingo_jax.evaluation.fewshot.settings import check, settings
from flamingo_jax.evaluation.fewshot.shown import explained
from flamingo_jax.evaluation.fewshot.splits import Split
from flamingo_jax.evaluation.fewshot.support import RandomSelection, Rices, Selection
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

_logger = logging.getLogger(__name__)


def evaluate_few_shot(
    session: Session, name: str, benchmark: Benchmark, split: Split, config: FewShotConfig, output: epath.Path
) -> Mapping[str, Any]:
    """Evaluates a model, or goes on with an evaluation that was stopped, and returns the summary.

    In `output` stand afterwards: `summary.json`; `examples.html`; `rows/`, every answer and its prompt as JSON lines;
    `support.json`, where the examples' images are; and for splits whose references are kept back `server/`, the files
    for the evaluation server. The summary is of all that was asked in this folder, and is written anew each time a
    number of shots is done.

    Args:
      name: of the model, for people.
      split: see `open_to_ask`; it is opened before the model, which takes longer.

    Raises:
      ConfigError: a picture is damaged, prompts are too long for the model, or `output` holds an evaluation of other
        settings.
    """
    before = clip_facts(session.pixels, split)  # how clips were shown when settings did not say it
    pixels = with_frames(session.pixels, split)
    session = dataclasses.replace(session, pixels=pixels, rows=config.batch_size, remembered=0)
    common = settings(session, benchmark, split, config)
    check(output, common, before)
    support = {item.key: medium_facts(item) for item in split.support}
    write_whole(output / "support.json", json.dumps(support))
    results = Results(output / "rows", benchmark, split, config.chunk)
    ways = _ways(session, benchmark, split, config, output)
    seeds = functools.partial(_seeds, benchmark, split, config)
    prompts = [Prompts(shots, seeds(shots, way), select) for way, select, counts in ways for shots in counts]
    check_lengths(session, benchmark, split, config, prompts, "--shots")
    for way, select, counts in ways:
        selection = RANDOM if way == BLIND else way
        asker = Asker(session, benchmark, split, config, selection, select, way == BLIND)
        for shots in counts:
            for seed in seeds(shots, way):
                setting = Setting(way, shots)
                if results.scored(setting, seed):
                    continue
                rows = results.rows(setting, seed)
                try:
                    _ask(asker, rows, setting, seed, len(split.queries))
                except MediaError as error:
                    raise explained(error, benchmark.title) from error
                said = results.add(setting, seed, rows)
                if not split.referenced:
                    path = output / "server" / f"{way}-{shots}-{seed}.json"
                    path.parent.mkdir(exist_ok=True)
                    write_whole(path, json.dumps(benchmark.server_answers(split.queries, said)))
                    _logger.info("the references of split %s are kept back; hand in %s", split.name, path)
            summary = _summary(name, benchmark, split, common, results)
            write_whole(output / "summary.json", json.dumps(summary, indent=1) + "\n")
    write_page(output / "examples.html", summary, RowFiles(results.files()), support)
    return summary


def _summary(
    name: str, benchmark: Benchmark, split: Split, common: Mapping[str, Any], results: Results
) -> dict[str, Any]:
    return {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "metric": benchmark.metric,
        "split": split.name,
        "step": common["step"],
        "model": {"name": name},
        "decoding": common["decoding"],
        **{name: common[name] for name in ("clips",) if name in common},
        "items": len(split.queries),
        "support_items": len(split.support),
        "missing": split.missing,
        "references": split.referenced,
        "notes": [*filter(None, [benchmark.note]), *split.notes],
        **results.figures(),
    }


def _ways(
    session: Session, benchmark: Benchmark, split: Split, config: FewShotConfig, output: epath.Path
) -> list[tuple[str, Selection, list[int]]]:
    """Names, choices of examples and numbers of shots; blind models get the random examples' texts."""
    counts, ways = _shots(benchmark, split, config), []
    for way in (*config.selections, *([BLIND] if config.blind else [])):
        # Prompts of 0 shots do not depend on how examples are chosen.
        mine = [count for count in counts if count or way != RICES or RANDOM not in config.selections]
        select: Selection = RandomSelection(len(split.support))
        if way == RICES and any(mine):
            queries = features(session, split.queries, output / "features" / "queries.npz")
            select = Rices(queries, features(session, split.support, output / "features" / "examples.npz"))
        ways.append((way, select, mine))
    return ways


def _shots(benchmark: Benchmark, split: Split, config: FewShotConfig) -> list[int]:
    """The numbers of shots that make sense here; the log names those that do not."""
    most = most_shots(benchmark, split)
    if dropped := [count for count in config.shots if count > most]:
        why = f"it has {len(split.support)} examples" if most < benchmark.max_shots else "as in the paper"
        _logger.warning("%s: no prompts of %s shots (%s)", benchmark.title, ", ".join(map(str, dropped)), why)
    kept = [count for count in config.shots if count <= most]
    if not kept:
        raise ConfigError(f"{benchmark.title} has prompts of at most {most} shots: name some of these in --shots")
    return kept


def _seeds(benchmark: Benchmark, split: Split, config: FewShotConfig, shots: int, way: str) -> tuple[int, ...]:
    """Those that make a difference; 0 where none does, so that commands with other seeds ask nothing anew."""
    permuted = split.ranked and config.permutations > 1
    drawn = benchmark.text_examples if not shots else way != RICES or permuted
    return config.seeds if drawn else (0,)


def _ask(asker: Asker, rows: Rows, setting: Setting, seed: int, count: int) -> None:
    """Asks for the rows that a stopped evaluation has not left."""
    title = f"{setting.way}, {setting.shots} shots, seed {seed}"
    quiet = jax.process_index() > 0
    with tqdm(total=count, initial=len(rows), desc=title, leave=False, disable=quiet) as bar:
        for chunk in rows.chunks():
            rows.add(asker.ask(chunk, setting.shots, seed))
            bar.update(len(chunk))
