"""VizWiz-VQA: questions of blind people about pictures that they took: 20,523 of train, 4,319 of val, 8,000 of test.

A question that the picture does not answer has "unanswerable" among its ten answers, which is then a right answer as
any other. The answers of test are kept back.
"""

from collections.abc import Sequence
from typing import Any

from etils import epath

from flamingo_jax.evaluation.benchmarks import templates, visual_questions
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate
from flamingo_jax.evaluation.benchmarks.unique_keys import unique_keys
from flamingo_jax.evaluation.metrics.vqa import vqa_accuracy
from flamingo_jax.evaluation.metrics.vqa_rules import openflamingo_accuracy, vizwiz_accuracy

_TITLE = "VizWiz"
_SPLITS = ("train", "val", "test")


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split, one a picture; keys are the pictures' names."""
    path = locate(folder, _annotations(split))
    records = read_json(path)
    if not isinstance(records, list):
        records = field(records, "annotations", list, path, "the whole file")
    names = [field(record, "image", str, path, place) for place, record in enumerate(records)]
    return [
        _item(f"{folder}/{split}/{name}", key, record, path)
        for name, key, record in zip(names, unique_keys(names), records, strict=True)
    ]


def _item(picture: str, key: str, record: dict, path: epath.Path) -> Item:
    answers, details = (), {}
    if "answers" in record:  # test has none
        listed = field(record, "answers", list, path, key)
        answers = tuple(field(one, "answer", str, path, f"{key}, answers") for one in listed)
        details = {
            "answer_type": field(record, "answer_type", str, path, key),
            "answerable": field(record, "answerable", int, path, key),
        }
    return Item(
        key=key,
        medium=MediaFile(picture),
        prompt=templates.question(field(record, "question", str, path, key)),
        answer=visual_questions.most_frequent(answers),
        references=answers,
        details=details,
    )


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The accuracy of VizWiz's own evaluation, in percent; as parts, those by the rules of VQAv2 and OpenFlamingo."""
    return visual_questions.accuracy(
        items,
        predictions,
        _TITLE,
        vizwiz_accuracy,
        vqav2_rule=vqa_accuracy,
        openflamingo=openflamingo_accuracy,
    )


def server_answers(items: Sequence[Item], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """What the VizWiz challenge's server takes: a list of picture names with their answers."""
    return [
        {"image": epath.Path(item.medium.path).name, "answer": prediction.text.strip()}
        for item, prediction in zip(items, predictions, strict=True)
    ]


def _annotations(split: str) -> ReleaseFile:
    return ReleaseFile(
        f"Annotations/{split}.json",
        "Annotations.zip of the VQA task's page on vizwiz.org",
        alternatives=(f"annotations/{split}.json", f"{split}.json"),
        archive="Annotations.zip",
    )


def _images(split: str) -> ReleaseFile:
    return ReleaseFile(f"{split}/", f"pictures: {split}.zip of the VQA task's page on vizwiz.org")


BENCHMARK = Benchmark(
    name="vizwiz",
    title=_TITLE,
    note="The published figures are of test-dev, whose references are kept back.",
    metric="VQA accuracy",
    read=read,
    score=score,
    files={split: (_annotations(split), _images(split)) for split in _SPLITS},
    sizes={"train": 20523, "val": 4319, "test": 8000},
    query_split="val",
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    server_answers=server_answers,
)
