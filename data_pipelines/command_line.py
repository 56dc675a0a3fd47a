"""What the builders' command lines share: their flags, the configuration from gin, and errors that end in one line."""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data_pipelines import settings
from data_pipelines.output import BuildError
from flamingo_jax.config import ConfigError, resolve

_GIN = Path(__file__).parents[1] / "gin" / "corpora"


@dataclasses.dataclass(frozen=True)
class Command:
    """A builder's command line: what was asked for, and the flags that are left for Beam."""

    values: argparse.Namespace
    config: Any
    beam_flags: Sequence[str]


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults behind each flag, and the epilog as it stands."""


def parser(program: str, description: str, default_name: str) -> argparse.ArgumentParser:
    """A parser with the flags that every builder has."""
    flags = argparse.ArgumentParser(
        prog=f"python -m data_pipelines.{program}",
        description=description,
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    flags.add_argument("--input", required=True, help="what to read")
    flags.add_argument("--output", required=True, help="the folder that the dataset's folder goes into")
    flags.add_argument("--name", default=default_name, help="the dataset's name, and its folder's")
    flags.add_argument("--validation_fraction", type=float, default=0.1, help="the share of the validation split")
    flags.add_argument("--overwrite", action="store_true", help="replace a dataset that was built otherwise")
    add_gin_flags(flags, program.split()[-1])
    return flags


def add_gin_flags(flags: argparse.ArgumentParser, name: str) -> None:
    """The flags that set thresholds; `name` is that of the gin file which holds the defaults."""
    shipped = _GIN / f"{name}.gin"
    flags.add_argument(
        "--gin_file",
        action="append",
        metavar="FILE",
        help=f"a gin file with the thresholds; gin/corpora/{shipped.name} of the checkout where none is named",
    )
    flags.add_argument(
        "--gin", action="append", default=[], metavar="NAME=VALUE", help="one more binding; may be given several times"
    )
    flags.set_defaults(shipped_gin=[str(shipped)] if shipped.is_file() else [])


def add_store_flags(flags: argparse.ArgumentParser) -> None:
    """The flags about what is known by its address alone."""
    flags.add_argument(
        "--store",
        default="",
        metavar="FOLDER",
        help="where fetched images and pages are; data_pipelines.fetch fills it",
    )
    flags.add_argument(
        "--fetch", action="store_true", help="fetch into the store what it lacks (see FetchConfig.contact)"
    )


def configure(values: argparse.Namespace, config: type) -> Any:
    """The configuration that the gin flags describe.

    Raises:
      BuildError: a file or a binding is at fault; the message names it.
    """
    files = values.gin_file or values.shipped_gin
    if not files and not values.gin:
        return config()  # installed without the gin files, whose values are the defaults
    try:
        return resolve(config, files, values.gin)
    except ConfigError as error:
        raise BuildError(str(error)) from None


_BEAM = """Other flags go to Apache Beam: --direct_num_workers=4 uses four processes of this machine, --runner and its
flags another runner."""


def read(flags: argparse.ArgumentParser, config: Any, arguments: Sequence[str] | None) -> Command:
    """Parses a builder's arguments.

    Args:
      config: the configuration with its defaults.

    Raises:
      BuildError: as `configure`.
    """
    flags.epilog = f"{_BEAM}\n\n{settings.listing(config)}"
    values, others = flags.parse_known_args(arguments)
    configured = configure(values, type(config))
    if getattr(values, "fetch", False):
        if not values.store:
            raise BuildError("--fetch needs a --store to fetch into")
        try:
            configured.fetching.limits.user_agent  # noqa: B018  the property checks what is needed
        except ValueError as error:
            raise BuildError(f"--fetch: {error}") from None
    return Command(values, configured, others)


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
