"""What the question-answering sets about pictures share: files as the VQA API reads them, and the VQA accuracy."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.scores import check_references, mean_score

KEYWORDS = ("Question", "Answer")
"""Where an answer is cut if the model goes on with the next prompt; OpenFlamingo's evaluation cuts there, too."""

Measure = Callable[[str, Sequence[str]], float]
"""(prediction, answers of the annotators) -> accuracy, 0 to 1."""

MAX_NEW_TOKENS = 10
"""Of an answer. The paper does not say; OpenFlamingo allows 5, which cuts some answers of TextVQA short."""


def read_vqa(
    questions: epath.Path,
    annotations: epath.Path | None,
    image: Callable[[int], str],
    written: str = "answer",
    chosen: str | None = None,
) -> list[Item]:
    """The questions of a pair of files in the format of the VQA API, in the order of the questions' file.

    Args:
      questions: file of the questions.
      annotations: file of their answers; None: the release keeps them back.
      image: image id -> path of the picture.
      written: the key, in an answer's record, of the text as its author wrote it, which examples show; predictions are
        compared with the text under "answer".
      chosen: the key, in a question's annotation, of the answer that an example shows; None: the most frequent one.

    Raises:
      ConfigError: a file is damaged or of another release, or a question has no answers or has them twice.
    """
    answered = {} if annotations is None else _read_annotations(annotations, written, chosen)
    items = []
    for place, record in enumerate(field(read_json(questions), "questions", list, questions, "the whole file")):
        number = field(record, "question_id", int, questions, place)
        if annotations is not None and number not in answered:
            raise ConfigError(
                f"{annotations} has no answers to question {number} of {questions}: are both of one split?"
            )
        references, example, details = answered.get(number, ((), "", {}))
        items.append(
            Item(
                key=str(number),
                medium=MediaFile(image(field(record, "image_id", int, questions, place))),
                prompt=templates.question(field(record, "question", str, questions, place)),
                answer=example,
                references=references,
                details=details,
            )
        )
    return items


def most_frequent(answers: Sequence[str]) -> str:
    """The answer given most often, the first of them where several are; "" of none."""
    return Counter(answers).most_common(1)[0][0] if answers else ""


def accuracy(
    items: Sequence[Item], predictions: Sequence[Prediction], title: str, measure: Measure, **others: Measure
) -> Score:
    """The mean of a VQA accuracy, with that of each `answer_type` in the items' details as parts.

    Args:
      items: that were asked about.
      predictions: in the same order.
      title: of the benchmark.
      measure: the accuracy that is the figure.
      others: further accuracies by name, whose means are parts, too.

    Raises:
      ConfigError: items have no references.
    """
    check_references(items, title)

    def shares(one: Measure) -> list[float]:
        return [one(said.text, item.references) for item, said in zip(items, predictions, strict=True)]

    score = mean_score(shares(measure), [item.details.get("answer_type", "") for item in items])
    further = {name: mean_score(shares(one)).value for name, one in others.items()}
    return dataclasses.replace(score, parts={**score.parts, **further})


def answers_by_question(items: Sequence[Item], predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """What the VQA challenge's server takes, and TextVQA's: a list of question ids with their answers."""
    pairs = zip(items, predictions, strict=True)
    return [{"question_id": int(item.key), "answer": prediction.text.strip()} for item, prediction in pairs]


def _read_annotations(
    path: epath.Path, written: str, chosen: str | None
) -> dict[int, tuple[tuple[str, ...], str, Mapping[str, Any]]]:
    """Question id -> the annotators' answers, the answer that an example shows, types of question and answer."""
    pairs: dict[tuple[str, str], tuple[str, str]] = {}

    def keep(record: dict) -> Any:
        """An answer's record becomes its two texts, kept once: the train split of VQAv2 has 4.4 million answers."""
        pair = record.get("answer"), record.get(written)
        if "answer_id" in record and all(isinstance(text, str) for text in pair):
            return pairs.setdefault(pair, pair)
        return record

    annotations: dict[int, tuple[tuple[str, ...], str, Mapping[str, Any]]] = {}
    kinds: dict[tuple[str, str], Mapping[str, Any]] = {}
    for place, record in enumerate(field(read_json(path, keep), "annotations", list, path, "the whole file")):
        number = field(record, "question_id", int, path, place)
        where = f"question {number}"
        answers = field(record, "answers", list, path, where)
        for one in answers:
            if not isinstance(one, tuple):
                for key, kind in (("answer", str), (written, str), ("answer_id", (int, str))):
                    field(one, key, kind, path, f"{where}, answers")
        if number in annotations:
            raise ConfigError(f"{path} has {where} twice. Is it the release's own file?")
        kind = (field(record, "question_type", str, path, where), field(record, "answer_type", str, path, where))
        details = kinds.setdefault(kind, {"question_type": kind[0], "answer_type": kind[1]})
        example = (
            most_frequent([text for _, text in answers]) if chosen is None else field(record, chosen, str, path, where)
        )
        annotations[number] = (tuple(text for text, _ in answers), example, details)
    return annotations
