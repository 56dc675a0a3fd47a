"""Corpora that others have made, in the formats that they have, to our documents: one course for every format.

A format is a module that finds its shards and reads one of them (`Format`); here their media are looked up and judged,
and the documents are written.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath

from data_pipelines import command_line, image_rules, output
from data_pipelines.clips import clip_files
from data_pipelines.copies import decontamination
from data_pipelines.copies.decontamination import Decontamination
from data_pipelines.fetching.sharing import Fetching
from data_pipelines.pipeline import building, fingerprints, judging
from data_pipelines.pipeline.sketch import Drop, Link, Medium, Sketch
from flamingo_jax.data.document import Text


@dataclasses.dataclass(frozen=True)
class Format:
    """How one kind of corpus is read.

    Attributes:
      name: of the command, and of the dataset where no other is asked for.
      summary: one line for --help.
      config: the class of its options, or None.
      shards: (input, options) -> the parts that workers read one by one; anything that can be pickled.
      read: (shard, options) -> its sketches and drops.
      unit: what a document is called, such as "pair".
      whole: a document that loses a medium is dropped; else it goes on without, unless no medium is left of any.
      media: (input, options) -> the folder with the files that the shards name; "" if there is none.
    """

    name: str
    summary: str
    config: type | None
    shards: Callable[[str, Any], Sequence]
    read: Callable[[Any, Any], Iterator[Sketch | Drop]]
    unit: str
    whole: bool
    media: Callable[[str, Any], str] = lambda root, options: ""

    @property
    def counted(self) -> str:
        """How the progress display calls shards."""
        return f"shards of {self.unit}s read"


@dataclasses.dataclass(frozen=True)
class ConversionConfig:
    """How a corpus is converted.

    Attributes:
      source: the options of the format; None for its defaults.
      images: limits of an image file.
      clips: how clips are encoded, and their limits.
      decontamination: against which evaluation images it is checked.
      fetching: how images are fetched that are known by their address alone.
    """

    source: Any = None
    images: image_rules.ImageRules = dataclasses.field(default_factory=image_rules.ImageRules)
    clips: clip_files.ClipRules = dataclasses.field(default_factory=clip_files.ClipRules)
    decontamination: Decontamination = dataclasses.field(default_factory=Decontamination)
    fetching: Fetching = dataclasses.field(default_factory=Fetching)


def main(form: Format, arguments: Sequence[str] | None = None) -> None:
    """The command line of one format: reads the flags and builds."""
    flags = command_line.parser(f"convert {form.name}", f"Builds a dataset from {form.summary}.", form.name)
    command_line.add_store_flags(flags)
    defaults = ConversionConfig(form.config() if form.config else None)
    command = command_line.read(flags, defaults, arguments)
    config, values = command.config, command.values
    if config.source is None and form.config is not None:
        config = dataclasses.replace(config, source=defaults.source)
    output.check_apart(values.input, values.output)
    identity = fingerprints.of_build(form.name, values, config)
    if media := form.media(values.input, config.source):
        identity["media"] = fingerprints.identity(media, values.output)
    shards = form.shards(values.input, config.source)
    fetching = config.fetching if values.fetch else None
    documents = functools.partial(_documents, form, shards, config, values.store, fetching)
    building.run(command, building.Build(identity, documents, f"{form.unit}s"))


def _documents(form: Format, shards: Sequence, config: ConversionConfig, store: str, fetching, flow, scratch):
    read = functools.partial(form.read, config=config.source)
    sketches = flow.stage("read shards", flow.create("shards", shards), read, count=form.counted)
    if store:
        from data_pipelines.pipeline import fetched_images, links  # Beam takes seconds to import

        sketches = links.look_up(flow, "store", sketches, fetched_images.locator(store, fetching))
    media = scratch / "media"
    media.mkdir()
    evaluation = judging.prepare(config.decontamination, scratch)
    look = judging.Judge(config.images, False, config.decontamination, evaluation, folder=str(media))
    finish = functools.partial(judge, form=form, config=config, look=look, folder=media)
    return flow.stage("judge media", sketches, finish, count=f"{form.unit}s judged")


def judge(
    sketch: Sketch, form: Format, config: ConversionConfig, look: judging.Judge, folder: epath.Path
) -> Iterator[Sketch | Drop]:
    """The sketch without the media that break a rule, and the drops.

    Args:
      look: judges images.
      folder: where encoded clips go until the documents are written.
    """
    items: list = []
    for item in sketch.items:
        if isinstance(item, Text):
            items.append(item)
            continue
        found = _judged(item, config, look, folder)
        if not isinstance(found, str):
            items.append(found)
            continue
        source = item.source if isinstance(item, Medium) else item.urls[0]
        reference = item.reference if isinstance(item, Medium) and item.kind == "image" else None
        if form.whole:
            yield Drop(
                found, form.unit, sketch.key if sketch.key.startswith(source) else f"{sketch.key}: {source}", reference
            )
            return
        yield Drop(found, "clip" if item.kind == "video" else "image", f"{sketch.key}: {source}", reference)
    has_hit = any(item.hits for item in items if isinstance(item, Medium))
    if rule := decontamination.page_reason(has_hit, config.decontamination):
        yield Drop(rule, form.unit, sketch.key)
    elif len(items) < len(sketch.items) and all(isinstance(item, Text) for item in items):
        yield Drop(f"{form.unit}_left_without_images", form.unit, sketch.key)
    else:
        yield dataclasses.replace(sketch, items=tuple(items))


def _judged(item: Link | Medium, config: ConversionConfig, look: judging.Judge, folder: epath.Path) -> Medium | str:
    """The medium with all that is known of it, or the rule that drops it."""
    if isinstance(item, Link):
        return item.rule or f"{'clip' if item.kind == 'video' else 'image'}_not_local"
    if item.kind == "video":
        return judging.encode_clip(item, config.clips, folder)
    facts = look(item.reference)
    known = {"reference": facts.copy or item.reference, "size": facts.size, "name": facts.name, "hits": facts.hits}
    return facts.rule or dataclasses.replace(item, **known)
