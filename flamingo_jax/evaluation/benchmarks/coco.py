"""COCO captions on Karpathy's splits: 113,287 pictures of train and restval, 5,000 of val, 5,000 of test."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import captioning, coco_images
from flamingo_jax.evaluation.benchmarks.annotation_files import field
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.karpathy import read_karpathy
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile

_TITLE = "COCO"
_SPLITS = ReleaseFile(
    "dataset_coco.json",
    "Karpathy's splits of COCO captions: caption_datasets.zip of the project page of "
    '"Deep Visual-Semantic Alignments for Generating Image Descriptions"',
    archive="caption_datasets.zip",
)
_NAMES = {"train": ("train", "restval"), "val": ("val",), "test": ("test",)}
"""Our splits as those of the file: the pictures of COCO's val2014 beyond val and test belong to train."""


def read(folder: epath.Path, split: str) -> list[Item]:
    """The pictures of the split; keys are COCO's image ids."""
    path = folder / _SPLITS.path

    def image(record: dict, where: str) -> str:
        return str(folder / field(record, "filepath", str, path, where) / field(record, "filename", str, path, where))

    return read_karpathy(path, _NAMES[split], image, ("cocoid", int))


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """CIDEr times 100."""
    return captioning.caption_score(items, predictions, _TITLE)


BENCHMARK = Benchmark(
    name="coco",
    title=_TITLE,
    metric="CIDEr",
    read=read,
    score=score,
    files={
        "train": (_SPLITS, coco_images.TRAIN, coco_images.VAL),
        "val": (_SPLITS, coco_images.VAL),
        "test": (_SPLITS, coco_images.VAL),
    },
    sizes={"train": 113287, "val": 5000, "test": 5000},
    query_split="test",
    dev_queries=5000,
    keywords=captioning.KEYWORDS,
)
