"""Builds a dataset from a corpus in a format of others: `python -m data_pipelines.convert FORMAT --help`."""

import sys
from collections.abc import Sequence

from data_pipelines import command_line
from data_pipelines.formats import conversion, registry
from data_pipelines.output import BuildError

_USAGE = "usage: python -m data_pipelines.convert FORMAT --input ... --output ... (FORMAT --help for its flags)"


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes the format's name from the arguments, and builds."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    known = "\n".join(f"  {name:<12} {form.summary}" for name, form in registry.FORMATS.items())
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"{_USAGE}\n\nformats:\n{known}")
        return
    if arguments[0] not in registry.FORMATS:
        raise BuildError(f"unknown format {arguments[0]!r}; known: {', '.join(registry.FORMATS)}")
    conversion.main(registry.FORMATS[arguments[0]], arguments[1:])


if __name__ == "__main__":
    sys.exit(command_line.run(main))
