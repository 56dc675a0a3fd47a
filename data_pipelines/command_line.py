"""What the builders' command lines share: flags from dataclasses, and errors that end in one line."""

import argparse
import dataclasses
import sys
import typing
from collections.abc import Callable, Sequence

from data_pipelines.output import BuildError


def parser(program: str, description: str, default_name: str) -> argparse.ArgumentParser:
    """A parser with the flags that every builder has."""
    flags = argparse.ArgumentParser(
        prog=f"python -m data_pipelines.{program}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    flags.add_argument("--input", required=True, help="what to read")
    flags.add_argument("--output", required=True, help="the folder that the dataset's folder goes into")
    flags.add_argument("--name", default=default_name, help="the dataset's name, and its folder's")
    flags.add_argument("--validation_fraction", type=float, default=0.1, help="the share of the validation split")
    flags.add_argument("--overwrite", action="store_true", help="replace a dataset that was built otherwise")
    return flags


def add_flags(flags: argparse.ArgumentParser, config: type) -> None:
    """Adds one flag for each field of a frozen dataclass, and of those within it, named and explained as the fields."""
    types = typing.get_type_hints(config)
    group = flags.add_argument_group((config.__doc__ or config.__name__).partition("\n")[0])
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(types[field.name]):
            add_flags(flags, types[field.name])
            continue
        kind = types[field.name]
        convert = _numbers if typing.get_origin(kind) is tuple else kind
        group.add_argument(
            f"--{field.name}", type=convert, default=field.default, help=field.metadata.get("help", field.name)
        )


def from_flags(values: argparse.Namespace, config: type):
    """The dataclass that the flags of `add_flags` describe."""
    types = typing.get_type_hints(config)
    return config(
        **{
            field.name: from_flags(values, types[field.name])
            if dataclasses.is_dataclass(types[field.name])
            else getattr(values, field.name)
            for field in dataclasses.fields(config)
        }
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(",") if part.strip())


def run(main: Callable[[Sequence[str] | None], None], arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status: 0, 1 where the disk or the network failed, 2 where the user can help."""
    try:
        main(arguments)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0
