"""iVQA: 6,000 questions of train, 2,000 of val and 2,000 of test about instructional videos, five answers each."""

from collections import Counter
from collections.abc import Mapping, Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import short_answers, templates, visual_questions
from flamingo_jax.evaluation.benchmarks.annotation_files import read_csv
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate
from flamingo_jax.evaluation.benchmarks.scores import check_references, mean_score
from flamingo_jax.evaluation.benchmarks.unique_keys import unique_keys
from flamingo_jax.evaluation.metrics.ivqa import ivqa_accuracy

_TITLE = "iVQA"
_QUESTIONS = "questions: the folder of iVQA that the GitHub repository antoyang/just-ask links to"
_CLIPS = ReleaseFile(
    "video/",
    "clips named as their video_id, cut to the seconds that were asked about: the authors send them on request (the "
    "form is linked in antoyang/just-ask)",
    alternatives=("videos/",),
)
_ANSWERS = tuple(f"answer{person}" for person in range(1, 6))


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; keys are the clips' names. An example shows the most frequent answer.

    Only answers that were given twice or more in training count (the rule of Just Ask's evaluation); those of a
    question are in its details.
    """
    vocabulary, clips = _vocabulary(_rows(folder, "train")), ClipFiles(locate(folder, _CLIPS))
    rows = _rows(folder, split)
    items = []
    for key, row in zip(unique_keys([row["video_id"] for row in rows]), rows, strict=True):
        answers = tuple(row[name] for name in _ANSWERS)
        items.append(
            Item(
                key=key,
                medium=MediaFile(clips.path(row["video_id"]), video=True),
                prompt=templates.question(row["question"]),
                answer=visual_questions.most_frequent(answers),
                references=answers,
                details={"vocabulary": [answer for answer in dict.fromkeys(answers) if answer in vocabulary]},
            )
        )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The accuracy of Just Ask's evaluation, in percent: the answer of two people is right, of one half right.

    "any answer" is the accuracy without a vocabulary.
    """
    check_references(items, _TITLE)
    values, free = [], []
    for item, prediction in zip(items, predictions, strict=True):
        said = prediction.text.strip()
        values.append(float(ivqa_accuracy(said, item.references, frozenset(item.details["vocabulary"]))))
        free.append(float(ivqa_accuracy(said, item.references, None)))
    score = mean_score(values)
    return Score(score.value, score.per_item, {"any answer": mean_score(free).value})


def _rows(folder: epath.Path, split: str) -> list[dict[str, str]]:
    return read_csv(folder / f"{split}.csv", ("video_id", "question", *_ANSWERS))


def _vocabulary(rows: Sequence[Mapping[str, str]]) -> frozenset[str]:
    counts = Counter(row[name] for row in rows for name in _ANSWERS)
    return frozenset(answer for answer, count in counts.items() if count >= 2)


BENCHMARK = Benchmark(
    name="ivqa",
    title=_TITLE,
    metric="iVQA accuracy",
    read=read,
    score=score,
    files={split: (*short_answers.tables(split, "{}.csv", _QUESTIONS), _CLIPS) for split in ("train", "val", "test")},
    sizes={"train": 6000, "val": 2000, "test": 2000},
    query_split="test",
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    partial=True,
)
