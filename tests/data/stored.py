"""Datasets in the stored form, without the pipeline that builds corpora: an independent writer of the same schema."""

from collections.abc import Callable, Mapping, Sequence

import tensorflow_datasets as tfds
from etils import epath

from flamingo_jax.data.document import Document


class _Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, name: str, splits: Mapping[str, Sequence[Document]], data_dir: epath.PathLike):
        self.name, self._documents = name, splits
        super().__init__(data_dir=data_dir, file_format="array_record")

    def _info(self):
        strings = tfds.features.Sequence(tfds.features.Text())
        features = {"key": tfds.features.Text(), "kinds": strings, "payloads": strings, "sources": strings}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(documents) for split, documents in self._documents.items()}

    def _generate_examples(self, documents):
        for document in documents:
            yield document.key, document.to_record()


def write(
    folder: epath.PathLike, name: str, splits: Mapping[str, Sequence[str]], load: Callable[[str], Document]
) -> None:
    """Writes the documents of these keys to `folder/name/1.0.0`."""
    folder = epath.Path(folder)
    made = {split: [load(key) for key in keys] for split, keys in splits.items()}
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    _Builder(name, made, folder).download_and_prepare(download_dir=folder / "downloads", download_config=config)
    (folder / "downloads").rmtree(missing_ok=True)
