"""The TFDS builder of all our datasets: a Beam pipeline of documents in, ArrayRecord out. No TensorFlow is used."""

import pickle
from collections.abc import Callable

import apache_beam as beam
import tensorflow_datasets as tfds
from etils import epath

from data_pipelines.pipeline import drops, tallying, writing
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Medium, Sketch
from data_pipelines.progress import Board
from flamingo_jax.data.document import Text

VERSION = "1.0.0"
_SHARDS, _RULES, _KEPT = "shards.json", "rules.pickle", "kept.pickle"

Documents = Callable[[Flow], beam.PCollection]
"""Builds the part of the pipeline that gives the `Sketch`es."""


class NothingKeptError(Exception):
    """No document came through the rules."""


class DocumentDatasetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes documents in the flat form of `Document.to_record`.

    `Sequence(Text())` holds any byte string untouched, where a sequence of `Image` would be decoded as a whole at each
    read.

    Attributes:
      rules: what the rules of the build dropped; set when the dataset is written.
      kept: how many documents, texts, images and videos were written; likewise.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(
        self,
        *,
        name: str,
        documents: Documents,
        layout: writing.Layout,
        board: Board,
        scratch: epath.PathLike,
        data_dir: epath.PathLike,
    ):
        """
        Args:
          documents: the pipeline.
          scratch: a folder that all workers reach, for what they tell the caller.
        """
        self.name = name
        self.rules: list[drops.Rule] = []
        self.kept: dict[str, int] = {}
        self._documents, self._layout, self._board = documents, layout, board
        self._scratch = epath.Path(scratch)
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        strings = tfds.features.Sequence(tfds.features.Text())
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"key": tfds.features.Text(), "kinds": strings, "payloads": strings, "sources": strings}
            )
        )

    def _split_generators(self, dl_manager):
        raise NotImplementedError("which split a document is in, only its pipeline knows")

    def _generate_examples(self):
        raise NotImplementedError

    def _download_and_prepare(self, dl_manager, download_config, **_) -> None:
        """Runs the pipeline on the runner of the `DownloadConfig`. TFDS's own writer would shuffle the media."""
        templates = {split: self._get_filename_template(split) for split in (writing.TRAIN, writing.VALIDATION)}
        with beam.Pipeline(runner=download_config.beam_runner, options=download_config.beam_options) as pipeline:
            flow = Flow(pipeline, self._board, self._scratch)
            sketches = writing.unique(flow, self._documents(flow))
            shards = writing.write_shards(flow, sketches, self._layout, templates, self.info.features)
            _save(shards | beam.combiners.ToList(), self._scratch / _SHARDS, lambda found: writing.dump_shards(found))
            _save(_count(sketches), self._scratch / _KEPT)
            _save(tallying.tally(flow.drops()), self._scratch / _RULES)
        self.rules = pickle.loads((self._scratch / _RULES).read_bytes())
        self.kept = pickle.loads((self._scratch / _KEPT).read_bytes())
        found = writing.parse_shards((self._scratch / _SHARDS).read_text())
        if not found:
            raise NothingKeptError
        splits = []
        for split, template in templates.items():
            mine = [shard for shard in found if shard.split == split]
            if mine:
                splits.append(
                    tfds.core.SplitInfo(
                        name=split,
                        shard_lengths=[shard.records for shard in mine],
                        num_bytes=sum(shard.size for shard in mine),
                        filename_template=template,
                    )
                )
        self.info.set_splits(tfds.core.splits.SplitDict(splits))

    def _log_download_bytes(self) -> None:
        """TFDS would print about a download that does not take place."""

    def _log_download_done(self) -> None:
        """As above."""


def _save(values: beam.PCollection, path: epath.Path, dump: Callable = pickle.dumps) -> None:
    """Writes the only element of a collection to a file that the caller reads afterwards."""

    def write(value) -> None:
        content = dump(value)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    _ = values | f"save {path.name}" >> beam.Map(write)


def _count(sketches: beam.PCollection) -> beam.PCollection:
    def kinds(sketch: Sketch):
        yield "documents", 1
        for item in sketch.items:
            if isinstance(item, Medium):
                yield f"{item.kind}s", 1
                if item.hits:
                    yield "images that may be of an evaluation", 1
            elif isinstance(item, Text):
                yield "texts", 1

    return (
        sketches
        | "kinds" >> beam.FlatMap(kinds)
        | "count kinds" >> beam.CombinePerKey(sum)
        | "list of kinds" >> beam.combiners.ToList()
        | "as a dict" >> beam.Map(dict)
    )
