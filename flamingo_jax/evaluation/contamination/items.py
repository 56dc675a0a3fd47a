"""The items of a benchmark: of its test split and, of the paper's DEV sets, of the DEV split."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.release import check_media, require
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.splits import DEV, open_split


def read_items(
    benchmark: Benchmark, folder: epath.Path, *, split: str = "", dev: bool = True, skip_missing: bool = False
) -> dict[str, Sequence[Item]]:
    """The items of a benchmark's splits by the splits' names.

    Args:
      benchmark: the benchmark.
      folder: of its release's files.
      split: to take instead of the benchmark's own.
      dev: whether to add the DEV split, where the paper has one; it is cut from the training split.
      skip_missing: whether items whose medium is not there are left out, also where the release is complete.

    Raises:
      ConfigError: files of the release are missing or damaged, or it has no such split.
    """
    name = split or benchmark.query_split
    if name not in benchmark.files:
        raise ConfigError(f"{benchmark.title} has no split {name!r}, but {', '.join(benchmark.files)}")
    require(folder, benchmark.files[name], benchmark.title)
    items = check_media(benchmark.read(folder, name), benchmark.title, benchmark.partial or skip_missing)
    found = {name: items}
    if dev and benchmark.dev_queries:
        try:
            found[DEV] = open_split(benchmark, folder, FewShotConfig(dev=True, skip_missing=skip_missing)).queries
        except ConfigError as error:
            raise ConfigError(f"{error}\n(of the DEV split; --nodev checks the split {name!r} alone)") from error
    return found
