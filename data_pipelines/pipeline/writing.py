"""Sketches to the shards of a dataset: split, shuffled and sharded by hashes of their keys, and by nothing else.

Only here are the media read for good: a shard's documents pass through memory one at a time.
"""

import dataclasses
import hashlib
import json
import math
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from etils import epath
from tensorflow_datasets.core import example_serializer, file_adapters
from tensorflow_datasets.core import features as features_lib
from tensorflow_datasets.core.naming import ShardedFileTemplate
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines.pipeline import references
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Drop, Medium, Sketch
from data_pipelines.progress import Board
from flamingo_jax.data.document import Document, Image, Text, Video

TRAIN, VALIDATION = "train", "validation"
_KINDS = {"image": Image, "video": Video}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset is cut into files.

    Attributes:
      validation_fraction: the share of documents, by the hash of their keys, that goes to the validation split.
      shard_bytes: a shard has about this size.
    """

    validation_fraction: float = 0.1
    shard_bytes: int = 1 << 28


@dataclasses.dataclass(frozen=True, order=True)
class Shard:
    """A file that was written: `records` documents in `size` bytes; `index` counts from 0 in its split."""

    split: str
    index: int
    records: int
    size: int


def load(sketch: Sketch) -> Document:
    """The document with the bytes of its media.

    Raises:
      OSError, ValueError: a medium cannot be read.
    """
    items = []
    for item in sketch.items:
        if isinstance(item, Medium):
            items.append(_KINDS[item.kind](references.read(item.reference), item.source))
        elif isinstance(item, Text):
            items.append(item)
        else:
            raise ValueError(f"document {sketch.key!r} still has a link in it: {item}")
    return Document(sketch.key, tuple(items))


def hashes(key: str) -> tuple[float, int]:
    """(a number in [0, 1) that decides the split, a 64-bit number that decides the place in it); both by the key alone.

    What follows a "#" names a part of a thing, such as a piece of a film or one of the captions of an image: all parts
    go to one split.
    """
    split = hashlib.blake2b(key.partition("#")[0].encode(errors="surrogatepass"), digest_size=6).digest()
    place = hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(split, "big") / 2**48, int.from_bytes(place, "big")


def split_of(unit: float, fraction: float, lowest: float, highest: float) -> str:
    """The split of the document whose hash is `unit`, in a dataset with hashes from `lowest` to `highest`.

    A key keeps its split as a corpus grows. Of two or more things at least one goes to either split (the nearest by
    its hash), unless the fraction is 0. One thing, in however many parts, is for training.
    """
    if fraction == 0 or lowest == highest or (unit == highest and highest < fraction):
        return TRAIN
    return VALIDATION if unit < fraction or unit == lowest else TRAIN


def write_shards(
    flow: Flow,
    sketches: beam.PCollection,
    layout: Layout,
    templates: dict[str, ShardedFileTemplate],
    features: features_lib.FeaturesDict,
) -> beam.PCollection:
    """Writes the sketches, whose keys are unique; gives a `Shard` for each file.

    Args:
      templates: of the files' paths, for each split.
      features: of the dataset's records.
    """
    extent = sketches | "extent" >> beam.CombineGlobally(_Extent())
    in_split = sketches | "split" >> beam.Map(_with_split, layout.validation_fraction, beam.pvalue.AsSingleton(extent))
    sizes = in_split | "sizes" >> beam.Map(lambda pair: (pair[0], _size(pair[1]))) | beam.CombinePerKey(sum)
    buckets = (
        in_split
        | "bucket" >> beam.Map(_with_bucket, layout.shard_bytes, beam.pvalue.AsDict(sizes))
        | "dataset shards" >> beam.GroupByKey()
    )
    used = beam.pvalue.AsList(buckets | "used buckets" >> beam.Keys())
    return flow.stage("write", buckets, _Writer(templates, features, flow.board), used)


def unique(flow: Flow, sketches: beam.PCollection) -> beam.PCollection:
    """One sketch a key: of several one is kept, the same in whatever order they come."""
    by_key = sketches | "key" >> beam.Map(lambda sketch: (sketch.key, sketch)) | "by key" >> beam.GroupByKey()
    return flow.stage("one document a key", by_key, _unique)


def _unique(element) -> Iterator[Sketch | Drop]:
    key, sketches = element
    first, *others = sorted(sketches, key=repr)
    yield first
    if others:
        yield Drop("key_repeated", "document", key, count=len(others))


def _size(sketch: Sketch) -> int:
    return sum(len(item.text.encode()) if isinstance(item, Text) else item.size for item in sketch.items)


class _Extent(beam.CombineFn):
    """(the lowest split hash, the highest) of sketches."""

    def create_accumulator(self):
        return 1.0, 0.0

    def add_input(self, accumulator, sketch):
        lowest, highest = accumulator
        unit = hashes(sketch.key)[0]
        return min(lowest, unit), max(highest, unit)

    def merge_accumulators(self, accumulators):
        lowest, highest = zip(*accumulators, strict=True)
        return min(lowest), max(highest)

    def extract_output(self, accumulator):
        return accumulator


def _with_split(sketch: Sketch, fraction: float, extent: tuple[float, float]) -> tuple[str, Sketch]:
    return split_of(hashes(sketch.key)[0], fraction, *extent), sketch


def _with_bucket(pair: tuple[str, Sketch], shard_bytes: int, sizes: dict[str, int]):
    split, sketch = pair
    buckets = max(1, math.ceil(sizes[split] / shard_bytes))
    return (split, hashes(sketch.key)[1] * buckets >> 64), sketch


class _Writer:
    """Writes the documents of one bucket to one file, in the order of their hashes."""

    def __init__(self, templates: dict[str, ShardedFileTemplate], features: features_lib.FeaturesDict, board: Board):
        self._templates, self._features, self._board = templates, features, board

    def __call__(self, element, used: Sequence[tuple[str, int]]) -> Iterator[Shard]:
        (split, bucket), sketches = element
        of_split = sorted(number for name, number in used if name == split)
        index = of_split.index(bucket)
        path = self._templates[split].sharded_filepath(shard_index=index, num_shards=len(of_split))
        ordered = sorted(sketches, key=lambda sketch: (hashes(sketch.key)[1], sketch.key))
        write_file(path, self._counted(ordered), self._features)
        yield Shard(split, index, len(ordered), path.stat().length)

    def _counted(self, sketches: Iterable[Sketch]) -> Iterator[Sketch]:
        for sketch in sketches:
            yield sketch
            self._board.add("documents written")


def write_file(path: epath.Path, sketches: Iterable[Sketch], features: features_lib.FeaturesDict) -> None:
    """Writes one ArrayRecord file; under its name only when it is complete.

    Raises:
      OSError: the file cannot be written, or a medium cannot be read any more.
    """
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

    def records():
        for sketch in sketches:
            try:
                record = load(sketch).to_record()
            except (OSError, ValueError) as error:  # one string: of several arguments Beam would lose some
                raise OSError(f"{sketch.key}: a medium changed or went while the dataset was built: {error}") from error
            serialized = serializer.serialize_example(features.encode_example(record))
            # Features in a fixed order: TFDS's own differs from process to process.
            yield sketch.key, tf_example_pb2.Example.FromString(serialized).SerializeToString(deterministic=True)

    remote = "://" in str(path)
    part = epath.Path(tempfile.mkdtemp()) / path.name if remote else path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        file_adapters.ArrayRecordFileAdapter.write_examples(part, records())
        if remote:
            part.copy(path, overwrite=True)  # ArrayRecord writes to local files only
        else:
            part.rename(path)
    except RuntimeError as error:  # what ArrayRecord raises when the file system refuses
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        if remote:
            shutil.rmtree(Path(part).parent, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def dump_shards(shards: Iterable[Shard]) -> str:
    """Shards as JSON; `parse_shards` is the inverse."""
    return json.dumps([dataclasses.astuple(shard) for shard in sorted(shards)])


def parse_shards(text: str) -> list[Shard]:
    """The shards that `dump_shards` wrote, in order."""
    return [Shard(*values) for values in json.loads(text)]
