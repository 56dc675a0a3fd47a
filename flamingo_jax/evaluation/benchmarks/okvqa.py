"""OK-VQA: 9,009 questions of train and 5,046 of val that need knowledge from outside the picture.

Five people answered each question, and the release lists each answer twice, so ten. It has them as written
("raw_answer") and as stems ("answer"). Examples show them as written; predictions are stemmed as OpenFlamingo's
evaluation does it, and compared with the stems.
"""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import coco_images, visual_questions
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.metrics.okvqa import okvqa_accuracy

_TITLE = "OK-VQA"
_IMAGES = {"train": coco_images.TRAIN, "val": coco_images.VAL}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; an example shows the most frequent answer as written."""
    return visual_questions.read_vqa(
        folder / _questions(split).path,
        folder / _annotations(split).path,
        lambda image_id: coco_images.picture(folder, _IMAGES[split], image_id),
        written="raw_answer",
    )


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The VQA accuracy of stemmed answers, in percent."""
    return visual_questions.accuracy(items, predictions, _TITLE, okvqa_accuracy)


def _questions(split: str) -> ReleaseFile:
    name = f"OpenEnded_mscoco_{split}2014_questions.json"
    return ReleaseFile(name, f"{name}.zip of okvqa.allenai.org's downloads (VQA v1 has a file of this name, too)")


def _annotations(split: str) -> ReleaseFile:
    name = f"mscoco_{split}2014_annotations.json"
    return ReleaseFile(name, f"{name}.zip of okvqa.allenai.org's downloads (VQA v1 has a file of this name, too)")


BENCHMARK = Benchmark(
    name="okvqa",
    title=_TITLE,
    metric="VQA accuracy",
    read=read,
    score=score,
    files={split: (_questions(split), _annotations(split), images) for split, images in _IMAGES.items()},
    sizes={"train": 9009, "val": 5046},
    query_split="val",
    dev_queries=1024,
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
)
