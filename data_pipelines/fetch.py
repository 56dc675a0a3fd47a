"""Fetches a list of images or pages into a store: `python -m data_pipelines.fetch --help`.

The same command again goes on where the last one ended, and tries again what failed in a way that may pass.
"""

import argparse
import collections
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from etils import epath
from tqdm import tqdm

from data_pipelines import command_line
from data_pipelines.fetching import outcomes
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.fetching.fetcher import fetch
from data_pipelines.fetching.outcomes import Result
from data_pipelines.fetching.store import KINDS, ImageStore
from data_pipelines.output import BuildError


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and fetches.

    Raises:
      BuildError: the input or the configuration is at fault.
      OSError: the store cannot be read or written.
      SystemExit: with status 130, when interrupted.
    """
    flags = argparse.ArgumentParser(
        prog="python -m data_pipelines.fetch",
        description="Fetches images or pages, politely, into a store that the builders read.",
        allow_abbrev=False,
    )
    flags.add_argument("--input", required=True, metavar="FILE", help="a text file with one address a line")
    flags.add_argument("--output", required=True, metavar="STORE", help="the store's folder; may exist, may be gs://")
    flags.add_argument("--kind", choices=KINDS, default="image", help="what the addresses are of (default: image)")
    command_line.add_gin_flags(flags, "fetch")
    values = flags.parse_args(arguments)
    config = command_line.configure(values, FetchConfig)
    try:
        config.user_agent  # noqa: B018  the property checks what is needed
    except ValueError as error:
        raise BuildError(f"{error}: --gin='FetchConfig.contact = \"https://...\"'") from None
    source = epath.Path(values.input)
    if not source.is_file():
        raise BuildError(f"--input {source} is not a file")
    interrupted = _fetch(source, ImageStore(values.output, values.kind), config)
    if interrupted:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130)


def _fetch(source: epath.Path, store: ImageStore, config: FetchConfig) -> bool:
    """Fetches with a progress bar, and prints how it ended; whether it was interrupted."""
    counts: collections.Counter[str] = collections.Counter()
    added, start, interrupted = 0, time.monotonic(), False

    def tell(result: Result) -> None:
        nonlocal added
        counts[result.outcome] += 1
        added += result.size
        bar.update()

    with tqdm(desc="fetching", unit=" addresses", disable=None) as bar:
        try:
            fetch(_lines(source), store, config, tell)
        except KeyboardInterrupt:
            interrupted = True
    print(table(counts, added, time.monotonic() - start))
    return interrupted


def _lines(source: epath.Path) -> Iterator[str]:
    """The addresses of a file; what is not UTF-8 in it becomes addresses that are refused."""
    with source.open("rb") as file:
        for line in file:
            if address := line.decode(errors="surrogateescape").strip():
                yield address


def table(counts: Mapping[str, int], added: int, seconds: float) -> str:
    """How many addresses ended in which way; `added` are the bytes that were fetched, in `seconds`."""
    lines = [
        f"{sum(counts.values()):,} addresses in {seconds:.1f} s: {counts.get(outcomes.FETCHED, 0):,} fetched "
        f"({added / 1e6:,.1f} MB), {counts.get(outcomes.ALREADY_THERE, 0):,} already there"
    ]
    rules = {rule: count for rule, count in counts.items() if rule.startswith("fetch_")}
    if rules:
        width = max(map(len, rules))
        lines.append(f"  {'not fetched by rule':<{width}}  {'addresses':>9}")
        lines += [
            f"  {rule:<{width}}  {count:>9,}" for rule, count in sorted(rules.items(), key=lambda of: (-of[1], of))
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command_line.run(main))
