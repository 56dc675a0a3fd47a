"""Flickr30k captions on Karpathy's splits: 29,000 pictures of train, 1,014 of val, 1,000 of test."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import captioning
from flamingo_jax.evaluation.benchmarks.annotation_files import field
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.karpathy import read_karpathy
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate

_TITLE = "Flickr30k"
_SPLITS = ReleaseFile(
    "dataset_flickr30k.json",
    "Karpathy's splits of Flickr30k: caption_datasets.zip of the project page of "
    '"Deep Visual-Semantic Alignments for Generating Image Descriptions"',
    archive="caption_datasets.zip",
)
_IMAGES = ReleaseFile(
    "flickr30k-images/",
    "31,783 pictures: flickr30k-images.tar.gz, which the authors of Flickr30k send on request (form on their page)",
    alternatives=("flickr30k_images/",),
)


def read(folder: epath.Path, split: str) -> list[Item]:
    """The pictures of the split; keys are the file's image numbers."""
    path, images = folder / _SPLITS.path, locate(folder, _IMAGES)

    def image(record: dict, where: str) -> str:
        return f"{images}/{field(record, 'filename', str, path, where)}"

    return read_karpathy(path, (split,), image, ("imgid", int))


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """CIDEr times 100."""
    return captioning.caption_score(items, predictions, _TITLE)


BENCHMARK = Benchmark(
    name="flickr30k",
    title=_TITLE,
    metric="CIDEr",
    read=read,
    score=score,
    files=dict.fromkeys(("train", "val", "test"), (_SPLITS, _IMAGES)),
    sizes={"train": 29000, "val": 1014, "test": 1000},
    query_split="test",
    keywords=captioning.KEYWORDS,
)
