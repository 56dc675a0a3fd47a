"""The rows that a run trains on, step by step, counted and partly kept to be shown."""

import dataclasses
import itertools
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tqdm import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Document
from flamingo_jax.data.errors import SourceError
from flamingo_jax.data.inspect.row_statistics import RowStatistics
from flamingo_jax.data.mixture import Mixture, MixtureConfig
from flamingo_jax.data.rows import Origin, Row
from flamingo_jax.data.sources import Source, open_source
from flamingo_jax.data.tokenizer import Tokenizer

_ROWS_AT_ONCE = 4  # rows that one thread makes before they are counted and let go


@dataclasses.dataclass(frozen=True)
class ShownRow:
    """A row to be shown: row `number` of its dataset's batch in `step`, and the documents in it."""

    step: int
    number: int
    row: Row
    origins: tuple[Origin, ...]


@dataclasses.dataclass
class InspectedDataset:
    """What was found of one dataset.

    Attributes:
      records: how many there are.
      steps: those that took a batch of it.
      statistics: of all rows of these steps.
      shown: the first rows.
    """

    records: int
    steps: list[int]
    statistics: RowStatistics
    shown: list[ShownRow]


class _NotRead:
    """Stands for a dataset that is not asked for, so that it need not be there."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int, /) -> Document:
        raise SourceError(f"record {index} of a dataset that is left out")


def open_mixture(config: MixtureConfig, tokenizer: Tokenizer, names: Collection[str] = ()) -> Mixture:
    """The mixture that training reads, of which only the datasets `names` (all if empty) are opened.

    Raises:
      ConfigError: the mixture has no dataset of such a name.
      SourceError: a dataset is missing, half-built or empty.
    """
    datasets = dict(config.datasets)
    if unknown := [name for name in names if name not in datasets]:
        raise ConfigError(f"--dataset={unknown[0]}: the mixture has no such dataset; it has {', '.join(datasets)}")
    sources: dict[str, Source] = {
        name: open_source(dataset.path, dataset.split) if not names or name in names else _NotRead()
        for name, dataset in datasets.items()
    }
    return Mixture(config, tokenizer, sources)


def inspect_rows(mixture: Mixture, names: Sequence[str], steps: range, most: int) -> dict[str, InspectedDataset]:
    """Makes the rows of these datasets in these steps as training does; the first `most` of each are kept.

    Raises:
      RecordError, SourceError: as `Mixture.batch`.
    """
    found = {name: InspectedDataset(mixture.sizes[name], [], RowStatistics(mixture.tokenizer), []) for name in names}
    work = [(step, name) for step in steps for name in mixture.schedule.datasets(step) if name in found]
    with ThreadPoolExecutor(max(1, mixture.config.threads)) as pool:
        for step, name in tqdm(work, desc="reading", unit="batch", disable=None, leave=False):
            dataset = found[name]
            dataset.steps.append(step)
            for shown in _batch(mixture, name, step, pool):
                dataset.statistics.add(shown.row, shown.origins)
                if len(dataset.shown) < most:
                    dataset.shown.append(shown)
    return found


def _batch(mixture: Mixture, name: str, step: int, pool: ThreadPoolExecutor) -> Iterator[ShownRow]:
    """All rows of a batch, few in memory at a time."""
    config = mixture.datasets[name]
    # A packed group is planned as a whole, however few of its rows are made.
    size = max(_ROWS_AT_ONCE, config.packing_group if config.documents_per_row > 1 else 1)

    def make(numbers: Sequence[int]) -> list[ShownRow]:
        rows = mixture.rows(name, step, {name: numbers})
        origins = [tuple(mixture.origin(name, filled) for filled in row.filled) for row in rows]
        return [ShownRow(step, *made) for made in zip(numbers, rows, origins, strict=True)]

    firsts = range(0, config.batch_size, size)
    parts = (range(first, min(first + size, config.batch_size)) for first in firsts)
    while several := list(itertools.islice(parts, max(1, mixture.config.threads))):
        for rows in pool.map(make, several):
            yield from rows
