"""The report of a check: `report.json` with all that was found, `report.html` with the pairs side by side."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath
from PIL import Image

from flamingo_jax.config import ConfigError
from flamingo_jax.data.duplicates import CANDIDATES, Likeness, perceptual_hash
from flamingo_jax.data.sources import open_source
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.contamination.items import read_items
from flamingo_jax.evaluation.contamination.page import render
from flamingo_jax.evaluation.contamination.questioned import Questioned, fingerprinted
from flamingo_jax.evaluation.contamination.search import Hit, search
from flamingo_jax.evaluation.contamination.tally import Tally, in_words
from flamingo_jax.html.files import write_whole

JSON, HTML = "report.json", "report.html"
_KEYS = 20  # of items that ask about one picture, named with a pair


def check(
    corpora: Sequence[epath.PathLike],
    split: str,
    benchmark: Benchmark,
    data_dir: epath.PathLike,
    output: epath.PathLike,
    *,
    query_split: str = "",
    dev: bool = True,
    skip_missing: bool = False,
    processes: int = 1,
    likeness: Likeness = CANDIDATES,
) -> dict[str, Any]:
    """Looks for a benchmark's pictures in corpora and writes the report.

    Args:
      corpora: folders of stored datasets.
      split: of them.
      benchmark: the benchmark.
      data_dir: folder of the benchmark's release.
      output: folder of the report, made if need be; a report that stands there is replaced when the new one is done.
      query_split, dev, skip_missing: which items of the benchmark; see `read_items`.
      processes: that decode.
      likeness: what counts as a candidate.

    Returns:
      What `report.json` holds.

    Raises:
      SourceError: a corpus is not there or cannot be read.
      ConfigError: the benchmark's files are not there, or none of its pictures can be read; or a package is missing.
      OSError: the report cannot be written.
    """
    if not corpora:
        raise ConfigError("name the corpora to look in: --corpus=DIR[,DIR]")
    try:
        perceptual_hash(Image.new("L", (8, 8)))
    except ImportError as error:  # said at once, and not by a process after an hour
        raise ConfigError(str(error)) from error
    sources = [open_source(path, split) for path in corpora]
    folder = epath.Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    items = read_items(benchmark, epath.Path(data_dir), split=query_split, dev=dev, skip_missing=skip_missing)
    questioned = fingerprinted(items, processes)
    tally = Tally(len(sources), questioned)
    for part in search(sources, questioned, processes, likeness):
        tally.add(part)
    askers = questioned.askers()
    best = tally.best()
    facts = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "data_dir": str(data_dir),
        "found": in_words(tally.total),
        "likeness": dataclasses.asdict(likeness),
        "corpora": [
            {"path": str(source.path), "split": split, **dataclasses.asdict(counts)}
            for source, counts in zip(sources, tally.corpora, strict=True)
        ],
        "total": dataclasses.asdict(tally.total),
        "splits": tally.splits(),
        "unreadable": [medium.path for medium in questioned.unreadable[:_KEYS]],
        "pairs": [_pair(hit, str(sources[hit.corpus].path), questioned, askers) for hit in best],
    }
    write_whole(
        folder / JSON, json.dumps(facts, indent=1, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n"
    )
    write_whole(folder / HTML, render(facts, best, sources, questioned))
    return facts


def _pair(
    hit: Hit, corpus: str, questioned: Questioned, askers: Sequence[Sequence[tuple[str, str]]]
) -> Mapping[str, Any]:
    medium = questioned.media[hit.medium]
    return {
        "corpus": corpus,
        "document": hit.document,
        "number": hit.number,
        "source": hit.source,
        "clip": hit.clip,
        "benchmark": medium.path,
        "span": medium.span,
        "items": [f"{split}/{key}" for split, key in askers[hit.medium][:_KEYS]],
        "items_in_all": len(askers[hit.medium]),
        "distance": hit.distance,
        "exact": hit.exact,
    }
