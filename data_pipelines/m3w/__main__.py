"""Builds an interleaved dataset from a folder of HTML pages: `python -m data_pipelines.m3w --help`."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines import building, command_line, inputs, output
from data_pipelines.m3w import build
from data_pipelines.m3w.config import M3WConfig


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and builds."""
    flags = command_line.parser("m3w", "HTML pages to documents of interleaved text and images.", "m3w")
    command_line.add_flags(flags, M3WConfig)
    values = flags.parse_args(arguments)
    config = command_line.from_flags(values, M3WConfig)
    root = Path(values.input)
    files = inputs.list_files(root)
    output.check_apart(root, values.output)
    keys = build.find_pages(files, root)
    identity = {
        "builder": "m3w",
        "settings": dataclasses.asdict(config),
        "input": {"files": len(files), "hash": inputs.fingerprint(root, files)},
    }
    building.build(
        values.output,
        values.name,
        identity,
        lambda: build.collect(root, keys, config),
        validation_fraction=values.validation_fraction,
        overwrite=values.overwrite,
    )


if __name__ == "__main__":
    sys.exit(command_line.run(main))
