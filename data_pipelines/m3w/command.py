"""The command line of the M3W builder."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from data_pipelines import command_line, inputs, output
from data_pipelines.command_line import Command
from data_pipelines.containers import shard_lists
from data_pipelines.m3w import safety
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.mirror import Mirror
from data_pipelines.pipeline import building, fingerprints

_ARCHIVES = (".warc", ".warc.gz", ".warc.zst")


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and builds."""
    flags = command_line.parser("m3w", "Web pages to documents of interleaved text and images.", "m3w")
    flags.add_argument(
        "--site", default="", help="the address that the input folder is a copy of, such as https://example.org/docs/"
    )
    command_line.add_store_flags(flags)
    command = command_line.read(flags, M3WConfig(), arguments)
    output.check_apart(command.values.input, command.values.output)
    safety.check(command.config.safety)
    pages = _pages(command)
    identity = {**fingerprints.of_build("m3w", command.values, command.config), "site": command.values.site}
    building.run(command, building.Build(identity, functools.partial(_documents, command, pages), "pages"))


def _documents(command: Command, pages: Callable, flow, scratch):
    """The pipeline. Its modules are imported here because Beam takes seconds."""
    from data_pipelines.m3w import pipeline
    from data_pipelines.pipeline import judging

    values, config = command.values, command.config
    found, locators = pages(flow, config)
    if values.store:
        from data_pipelines.pipeline import fetched_images

        locators["store"] = fetched_images.locator(values.store, config.fetching if values.fetch else None)
    return pipeline.documents(flow, found, locators, config, judging.prepare(config.decontamination, scratch))


def _pages(command: Command) -> Callable:
    """What reads the input: (flow, config) -> (pages, locators of their images).

    Raises:
      BuildError: the input is nothing that can be read.
    """
    given = command.values.input
    source = Path(given)
    base, names = (given, inputs.list_files(source)) if source.is_dir() else shard_lists.files(given)
    if archives := [shard_lists.join(base, name) for name in names if name.lower().endswith(_ARCHIVES)]:
        return functools.partial(_archives, archives)
    if source.is_dir():
        mirror = Mirror(source, command.values.site)
        return functools.partial(_folder, mirror, mirror.pages(names))
    if source.suffix == ".txt":
        return _listed(source, command)
    raise output.BuildError(
        f"--input {given}: neither a local folder of pages, nor WARC files, nor a .txt list of addresses"
    )


def _folder(mirror: Mirror, names: Sequence[str], flow, config: M3WConfig):
    pages = flow.stage("read pages", flow.create("files", names), functools.partial(mirror.read, config=config))
    return pages, {}


def _archives(paths: Sequence[str], flow, config: M3WConfig):
    from data_pipelines.m3w import archived_images, archives

    read = functools.partial(archives.read, config=config)
    pages, images = archives.pages_and_images(flow, flow.stage("read archives", flow.create("archives", paths), read))
    return pages, {"archives": archived_images.locator(images)}


def _listed(path: Path, command: Command) -> Callable:
    from data_pipelines.m3w import listed

    urls, values = listed.read_list(path), command.values
    if not values.store:
        raise output.BuildError(f"--input {path} is a list of addresses: name a --store, and --fetch to fill it")

    def read(flow, config: M3WConfig):
        return listed.pages(flow, urls, values.store, config.fetching if values.fetch else None, config), {}

    return read
