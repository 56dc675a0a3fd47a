"""Documents to a TFDS dataset in ArrayRecord, and back. No TensorFlow is used."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import writer as tfds_writer
from tensorflow_datasets.proto import tf_example_pb2

from data_pipelines import progress
from flamingo_jax.data.document import Document

VERSION = "1.0.0"


class DocumentDatasetBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes documents in the flat form of `Document.to_record`.

    `Sequence(Text())` holds any byte string untouched, where a sequence of `Image` would be decoded as a whole at each
    read.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(self, *, name: str, splits: Mapping[str, Iterator[Document]], data_dir: epath.PathLike):
        self.name = name
        self._documents = splits
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self) -> tfds.core.DatasetInfo:
        strings = tfds.features.Sequence(tfds.features.Text())
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {"key": tfds.features.Text(), "kinds": strings, "payloads": strings, "sources": strings}
            )
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        return {split: self._generate_examples(documents) for split, documents in self._documents.items()}

    def _generate_examples(self, documents: Iterator[Document]):
        for document in documents:
            yield document.key, document.to_record()

    def _example_writer(self) -> tfds_writer.ExampleWriter:
        return _CanonicalWriter(file_format=self.info.file_format)

    def _log_download_bytes(self) -> None:
        """TFDS would print about a download that does not take place."""

    def _log_download_done(self) -> None:
        """As above."""


class _CanonicalWriter(tfds_writer.ExampleWriter):
    """Puts the features of a record in a fixed order: TFDS's own differs from process to process."""

    def write(self, path, examples):
        def canonical():
            for key, serialized in examples:
                yield key, tf_example_pb2.Example.FromString(serialized).SerializeToString(deterministic=True)

        return super().write(path, canonical())


def split_keys(keys: Sequence[str], validation_fraction: float) -> dict[str, list[str]]:
    """Shares keys out to "train" and "validation" by their hash, so that a key keeps its split as a corpus grows.

    Of two or more keys at least one goes to either split (the nearest by its hash), unless the fraction is 0.

    Raises:
      ValueError: the fraction is not in [0, 1).
    """
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"the validation fraction must be at least 0 and less than 1, not {validation_fraction}")
    if validation_fraction == 0 or len(keys) < 2:
        return {"train": sorted(keys)}
    ranked = sorted((_unit_hash(key), key) for key in keys)
    held_out = sum(value < validation_fraction for value, _ in ranked)
    held_out = min(max(held_out, 1), len(ranked) - 1)
    return {
        "train": sorted(key for _, key in ranked[held_out:]),
        "validation": sorted(key for _, key in ranked[:held_out]),
    }


def _unit_hash(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest(), "big") / 2**48


def write(
    folder: epath.Path, name: str, splits: Mapping[str, Sequence[str]], load: Callable[[str], Document]
) -> epath.Path:
    """Writes one dataset and reads its index back.

    Args:
      folder: the dataset goes to `folder/name/1.0.0`, which must not exist.
      name: lower-case letters, digits and underscores.
      splits: the keys of each split; no split may be empty.
      load: makes the document of a key. Called once for each.

    Returns:
      The dataset's directory, for `tfds.builder_from_directory`.

    Raises:
      OSError: the dataset cannot be written, or has fewer records than were given (a disk that filled up).
    """
    tfds.display_progress_bar(False)  # ours is enough, and says what it counts

    def documents(split: str) -> Iterator[Document]:
        for key in progress.bar(splits[split], f"writing {name} {split}", "documents"):
            yield load(key)

    folder = epath.Path(folder)
    builder = DocumentDatasetBuilder(name=name, splits={split: documents(split) for split in splits}, data_dir=folder)
    downloads = folder / "downloads"
    try:
        builder.download_and_prepare(
            download_dir=downloads, download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except RuntimeError as error:  # what ArrayRecord raises when the file system refuses
        raise OSError(f"cannot write the dataset {name!r} in {folder}: {error}") from error
    downloads.rmtree(missing_ok=True)
    directory = folder / name / VERSION
    for split, keys in splits.items():
        found = len(tfds.builder_from_directory(directory).as_data_source(split))
        if found != len(keys):
            raise OSError(f"{directory} has {found} records in split {split!r}, {len(keys)} were written")
    return directory
