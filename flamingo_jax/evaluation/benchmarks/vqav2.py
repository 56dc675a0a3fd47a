"""VQAv2: 443,757 questions of train, 214,354 of val, and 107,394 and 447,793 of test-dev and test without answers."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import coco_images, visual_questions
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.metrics.vqa import vqa_accuracy
from flamingo_jax.evaluation.metrics.vqa_rules import openflamingo_accuracy

_TITLE = "VQAv2"
_SUBSETS = {"train": "train2014", "val": "val2014", "test-dev": "test-dev2015", "test": "test2015"}
_IMAGES = {
    "train": coco_images.TRAIN,
    "val": coco_images.VAL,
    "test-dev": coco_images.TEST,
    "test": coco_images.TEST,
}
_ANSWERED = ("train", "val")


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; an example shows the release's most frequent answer."""
    return visual_questions.read_vqa(
        folder / _questions(split).path,
        folder / _annotations(split).path if split in _ANSWERED else None,
        lambda image_id: coco_images.picture(folder, _IMAGES[split], image_id),
        chosen="multiple_choice_answer",
    )


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The official VQA accuracy, in percent; as a part, that by OpenFlamingo's rule."""
    return visual_questions.accuracy(items, predictions, _TITLE, vqa_accuracy, openflamingo=openflamingo_accuracy)


def _questions(split: str) -> ReleaseFile:
    part = {"train": "Train", "val": "Val"}.get(split, "Test")
    archive = f"v2_Questions_{part}_mscoco.zip"
    return ReleaseFile(
        f"v2_OpenEnded_mscoco_{_SUBSETS[split]}_questions.json",
        f"{archive} of visualqa.org's downloads",
        archive=archive,
    )


def _annotations(split: str) -> ReleaseFile:
    archive = f"v2_Annotations_{split.title()}_mscoco.zip"
    return ReleaseFile(
        f"v2_mscoco_{_SUBSETS[split]}_annotations.json",
        f"{archive} of visualqa.org's downloads",
        archive=archive,
    )


def _files(split: str) -> tuple[ReleaseFile, ...]:
    answers = (_annotations(split),) if split in _ANSWERED else ()
    return (_questions(split), *answers, _IMAGES[split])


BENCHMARK = Benchmark(
    name="vqav2",
    title=_TITLE,
    note="The published figures are of test-dev, whose references are kept back.",
    metric="VQA accuracy",
    read=read,
    score=score,
    files={split: _files(split) for split in _SUBSETS},
    sizes={"train": 443757, "val": 214354, "test-dev": 107394, "test": 447793},
    query_split="val",
    dev_queries=1024,
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    server_answers=visual_questions.answers_by_question,
)
