"""Who is asked about and who may be shown: the test split with training items, or the paper's DEV cut of the latter."""

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.release import check_media, is_whole, require
from flamingo_jax.evaluation.fewshot.config import FewShotConfig

_SEED = 2022  # of the DEV cut and of the support set: the same in every evaluation
DEV = "dev"


@dataclasses.dataclass(frozen=True)
class Split:
    """The items of an evaluation.

    Attributes:
      name: of the release's split, or "dev".
      queries: those that are asked about.
      support: those that examples are drawn from; none of their images is a query's.
      missing: items of both that were left out, as their image or clip is not there.
      notes: what of it is not as in the release, in sentences.
    """

    name: str
    queries: Sequence[Item]
    support: Sequence[Item]
    missing: int
    notes: tuple[str, ...] = ()

    @property
    def referenced(self) -> bool:
        """Whether there is anything to score answers by; the references of some splits are kept back."""
        return any(item.references for item in self.queries)

    @property
    def ranked(self) -> bool:
        """Whether candidates are ranked, rather than answers written."""
        return bool(self.queries[0].candidates)


def open_split(benchmark: Benchmark, folder: epath.Path, config: FewShotConfig) -> Split:
    """Reads a benchmark's items.

    Raises:
      ConfigError: files of the release are missing or damaged, or it has no such split.
    """
    if config.dev and not benchmark.dev_queries:
        raise ConfigError(f"{benchmark.title} is not one of the paper's DEV sets: evaluate it without --dev")
    name = DEV if config.dev else config.split or benchmark.query_split
    wanted = (benchmark.support_split,) if config.dev else (name, benchmark.support_split)
    for split in wanted:
        if split not in benchmark.files:
            raise ConfigError(f"{benchmark.title} has no split {split!r}, but {', '.join(benchmark.files)}")
    if benchmark.write is not None:
        for split in dict.fromkeys(wanted):
            benchmark.write(folder, split)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: give the --data_dir that holds the files of {benchmark.title}")
    if not config.dev and not max(config.shots) and not benchmark.text_examples:  # no example is ever shown
        wanted = tuple(split for split in wanted if split == name or is_whole(folder, benchmark.files[split]))
    require(folder, list(dict.fromkeys(file for split in wanted for file in benchmark.files[split])), benchmark.title)

    read = {split: benchmark.read(folder, split) for split in dict.fromkeys(wanted)}
    there = {
        split: check_media(items, benchmark.title, benchmark.partial or config.skip_missing)
        for split, items in read.items()
    }
    missing = sum(len(read[split]) - len(there[split]) for split in read)
    pool = there.get(benchmark.support_split, [])
    if config.dev:
        queries, pool = _cut(pool, benchmark.dev_queries)
    else:
        queries = there[name]
    if not queries:
        raise ConfigError(f"{benchmark.title}: nothing to ask about in split {name!r} of {folder}")
    support = _support(pool, queries, benchmark.support_size)
    notes = tuple(
        f"{len(items):,} items of {split} were read, of the release's {benchmark.sizes[split]:,}."
        for split, items in read.items()
        if len(items) != benchmark.sizes.get(split, len(items))
    )
    return Split(name, _some(queries, config.max_items), support, missing, notes)


def _cut(items: Sequence[Item], count: int) -> tuple[list[Item], list[Item]]:
    """So many items, and those that do not share an image with them; both in the release's order."""
    if len(items) <= count:
        raise ConfigError(f"the training split has {len(items)} items, and the DEV queries alone are {count}")
    labels = len({item.label for item in items})
    most, drawn = -(-count // labels), collections.Counter()  # of classes as many of each
    chosen = set()
    for place in _shuffled(len(items)):
        if drawn[items[place].label] < most and len(chosen) < count:
            drawn[items[place].label] += 1
            chosen.add(place)
    queries = [item for place, item in enumerate(items) if place in chosen]
    shown = {item.medium.path for item in queries}
    return queries, [item for item in items if item.medium.path not in shown]


def _support(pool: Sequence[Item], queries: Sequence[Item], size: int) -> list[Item]:
    """`size` items, or as many of each label where there are labels, in the release's order."""
    shown = {(item.medium.path, item.medium.span) for item in queries}
    left: collections.Counter[int] = collections.Counter()
    chosen = []
    for place in _shuffled(len(pool)):
        item = pool[place]
        if left[item.label] < size and (item.medium.path, item.medium.span) not in shown:
            left[item.label] += 1
            chosen.append(place)
    return [pool[place] for place in sorted(chosen)]


def _some(items: Sequence[Item], count: int) -> Sequence[Item]:
    if not count or len(items) <= count:
        return items
    return [items[place] for place in sorted(_shuffled(len(items))[:count])]


def _shuffled(count: int) -> list[int]:
    return np.random.default_rng(_SEED).permutation(count).tolist()
