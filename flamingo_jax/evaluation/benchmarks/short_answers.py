"""What MSVD-QA and MSRVTT-QA share: files of questions about clips with one short answer each, and their accuracy."""

import collections
from collections.abc import Callable, Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.records import read_records
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import check_references, mean_score
from flamingo_jax.evaluation.metrics.ivqa import top1

VOCABULARY_SIZE = 4000
"""The most frequent answers of the training questions, beside which none counts (the rule of Just Ask's evaluation)."""

_FIRST_WORDS = ("what", "who", "how", "when", "where")  # by which the sets' own paper splits the accuracy


def tables(split: str, name: str, release: str, archive: str = "") -> tuple[ReleaseFile, ...]:
    """The files of a split's questions and of the training ones, whose answers are the vocabulary (iVQA's, too).

    Args:
      split: that is read.
      name: of the file of a split, with {} for the split.
      release, archive: as of `ReleaseFile`.
    """
    names = dict.fromkeys(name.format(each) for each in ("train", split))
    return tuple(ReleaseFile(each, release, archive=archive) for each in names)


def read_questions(folder: epath.Path, split: str, clip_of: Callable[[int], str]) -> list[Item]:
    """The questions of `<split>_qa.json`, in the order of the file.

    Args:
      folder: with the files of questions; that of the training questions says what the vocabulary is.
      split: "train", "val" or "test".
      clip_of: the path of the clip that a video's number stands for.

    Raises:
      ConfigError: a file is damaged or of another release.
    """
    vocabulary = _vocabulary(folder / "train_qa.json")
    path = folder / f"{split}_qa.json"
    items = []
    for place, record in enumerate(read_records(path)):
        answer, question = field(record, "answer", str, path, place), field(record, "question", str, path, place)
        items.append(
            Item(
                key=str(field(record, "id", int, path, place)),
                medium=MediaFile(clip_of(field(record, "video_id", int, path, place)), video=True),
                prompt=templates.question(question),
                answer=answer,
                references=(answer,),
                details={"type": _type(question), "in_vocabulary": answer in vocabulary},
            )
        )
    return items


def accuracy(items: Sequence[Item], predictions: Sequence[Prediction], title: str) -> Score:
    """Percent of the questions answered right, letter by letter, in all and by the question's first word.

    An answer outside the vocabulary is never right. "any answer" is the accuracy without a vocabulary.

    Raises:
      ConfigError: items have no references.
    """
    check_references(items, title)
    values, free = [], []
    for item, prediction in zip(items, predictions, strict=True):
        (answer,), said = item.references, prediction.text.strip()
        values.append(float(top1(said, answer, {answer} if item.details["in_vocabulary"] else set())))
        free.append(float(said == answer))
    score = mean_score(values, [item.details["type"] for item in items])
    return Score(score.value, score.per_item, {**score.parts, "any answer": mean_score(free).value})


def _vocabulary(path: epath.Path) -> frozenset[str]:
    answers = (field(record, "answer", str, path, place) for place, record in enumerate(read_records(path)))
    counts = collections.Counter(answers)
    return frozenset(answer for answer, _ in counts.most_common(VOCABULARY_SIZE))  # of equals, those that come first


def _type(question: str) -> str:
    word = question.split(" ", 1)[0].lower()
    return word if word in _FIRST_WORDS else "other"
