"""ImageNet-1k (ILSVRC 2012): 1,281,167 pictures of train and 50,000 of val, of 1,000 classes, as classification.

A class is called by the first of its names in the release; where two classes begin alike ("cardigan", a garment and a
dog), by all of its names. The release gives two classes (n02012849, n03126707) the single name "crane": equal texts
are equally likely, so at most one of the two can be right.
"""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.imagenet_files import CLASSES, TRAIN, VAL, class_names
from flamingo_jax.evaluation.benchmarks.imagenet_pictures import pictures
from flamingo_jax.evaluation.benchmarks.scores import mean_score, top_k_hits

_TITLE = "ImageNet"


def read(folder: epath.Path, split: str) -> list[Item]:
    """The pictures of the split; keys are their names. Labels count the classes in the order of their WordNet ids."""
    names = class_names(folder)
    labels = {wnid: label for label, wnid in enumerate(names)}
    candidates = _called(list(names.values()))
    return [_item(path, label, candidates) for path, label in pictures(folder, split, labels)]


def _item(path: str, label: int, candidates: tuple[str, ...]) -> Item:
    name = candidates[label]
    key = path[path.rindex("/") + 1 :].removesuffix(".JPEG")
    return Item(
        key=key,
        medium=MediaFile(path),
        prompt=templates.CAPTION,
        answer=name,
        references=(name,),
        candidates=candidates,
        label=label,
    )


def _called(names: Sequence[str]) -> tuple[str, ...]:
    """What each class is called: the first of its names, or all where the first is another class's first, too."""
    first = [name.split(",")[0].strip() for name in names]
    lower = [name.lower() for name in first]
    return tuple(one if lower.count(one.lower()) == 1 else name for one, name in zip(first, names, strict=True))


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Top-1 accuracy in percent; top-5 as a part."""
    result = mean_score(top_k_hits(items, predictions, 1))
    return Score(result.value, result.per_item, {"top-5": mean_score(top_k_hits(items, predictions, 5)).value})


BENCHMARK = Benchmark(
    name="imagenet",
    title=_TITLE,
    metric="top-1 accuracy",
    read=read,
    score=score,
    files={"train": (CLASSES, TRAIN), "val": (CLASSES, VAL)},
    sizes={"train": 1281167, "val": 50000},
    query_split="val",
    dev_queries=10000,
    support_size=32,
    max_shots=16,
    text_examples=0,
)
