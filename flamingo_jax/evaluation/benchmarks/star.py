"""STAR: 45,731 multiple-choice questions of train, 7,098 of val and 7,377 of test about situations in Charades."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.records import read_records, seconds
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import check_references, mean_score

_TITLE = "STAR"
_VIDEOS = ReleaseFile("Charades_v1_480/", "videos such as 001YG.mp4: Charades_v1_480.zip, Charades scaled to 480p")
_QUESTIONS = {
    split: ReleaseFile(f"STAR_{split}.json", "questions and choices, linked in the GitHub repository STAR_Benchmark")
    for split in ("train", "val", "test")
}
TYPES = ("Interaction", "Sequence", "Prediction", "Feasibility")
_KEPT = ("question_id", "question", "video_id", "start", "end", "answer", "choices", "choice", "choice_id")


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split, with the video's seconds that are meant; test has no answers.

    Keys are the questions' names, such as "Interaction_T1_13", of which the first word is the type. Candidates are in
    the order of the choices' numbers.
    """
    path, videos = folder / _QUESTIONS[split].path, ClipFiles(folder / _VIDEOS.path)
    return [_item(record, videos, path, place) for place, record in enumerate(read_records(path, _without_graphs))]


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of the questions whose true choice is the likeliest one: the mean over the four types of questions.

    The paper says no more than "top-1"; tables of later work on the set average over the types in this way. The part
    "all questions" counts each question once. In `per_item` a question weighs the more the rarer its type is, so that
    the mean is the score.
    """
    check_references(items, _TITLE)
    types = [_type(item.key) for item in items]
    right = [
        float(_chosen(prediction) == item.candidates.index(item.references[0]))
        for item, prediction in zip(items, predictions, strict=True)
    ]
    plain = mean_score(right, types)
    count = {name: types.count(name) for name in plain.parts}
    weighted = [value * len(types) / (len(count) * count[name]) for value, name in zip(right, types, strict=True)]
    score = mean_score(weighted)
    return Score(score.value, score.per_item, {**plain.parts, "all questions": plain.value})


def server_answers(items: Sequence[Item], predictions: Sequence[Prediction]) -> dict[str, list[dict[str, Any]]]:
    """For the leaderboard: type of question -> names of questions, each with the number of the choice."""
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in TYPES}
    for item, prediction in zip(items, predictions, strict=True):
        answers[_type(item.key)].append({"question_id": item.key, "answer": _chosen(prediction)})
    return answers


def _item(record: Any, videos: ClipFiles, path: epath.Path, place: int) -> Item:
    key = field(record, "question_id", str, path, place)
    where = f"question {key}"
    if _type(key) not in TYPES:
        raise ConfigError(f"{path}, {where}: the name begins with none of {', '.join(TYPES)}.")
    choices = {
        field(choice, "choice_id", int, path, where): field(choice, "choice", str, path, where)
        for choice in field(record, "choices", list, path, where)
    }
    if sorted(choices) != list(range(len(choices))):
        raise ConfigError(f"{path}, {where}: its choices have the numbers {list(choices)} instead of 0, 1, and so on.")
    candidates = tuple(choices[number] for number in range(len(choices)))
    answer = field(record, "answer", str, path, where) if "answer" in record else ""
    if answer and answer not in candidates:
        raise ConfigError(f"{path}, {where}: the answer {answer!r} is none of the choices.")
    span = seconds(*(field(record, name, float, path, where) for name in ("start", "end")), path, where)
    return Item(
        key=key,
        medium=MediaFile(videos.path(field(record, "video_id", str, path, where)), video=True, span=span),
        prompt=templates.question(field(record, "question", str, path, where)),
        answer=answer,
        references=(answer,) if answer else (),
        candidates=candidates,
    )


def _type(key: str) -> str:
    return key.partition("_")[0]


def _chosen(prediction: Prediction) -> int:
    return int(np.argmax(prediction.scores))


def _without_graphs(record: dict) -> dict:
    """Drops programs and the situations' graphs, which are nearly all of the file."""
    return {name: record[name] for name in _KEPT if name in record}


BENCHMARK = Benchmark(
    name="star",
    title=_TITLE,
    note="The figure is the mean over the four types of questions; the paper says top-1 alone. Published "
    "figures are of test, whose answers are kept back.",
    metric="top-1 accuracy",
    read=read,
    score=score,
    files={split: (questions, _VIDEOS) for split, questions in _QUESTIONS.items()},
    sizes={"train": 45731, "val": 7098, "test": 7377},
    query_split="val",
    text_examples=0,
    server_answers=server_answers,
)
