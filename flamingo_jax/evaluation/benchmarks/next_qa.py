"""NExT-QA, open-ended: 37,523 questions of train, 5,343 of val and 9,178 of test about causes and times in videos."""

from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates, visual_questions
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_csv, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import check_references, mean_score
from flamingo_jax.evaluation.metrics.wups import table, wups

_TITLE = "NExT-QA"
_OPEN_ENDED = "in dataset/nextqa of the GitHub repository doc-doc/NExT-OE"
_QUESTIONS = {
    split: ReleaseFile(f"{split}.csv", f"the open-ended questions: {_OPEN_ENDED}") for split in ("train", "val", "test")
}
_SECOND = ReleaseFile("add_reference_answer_test.json", f"second answers: {_OPEN_ENDED}")
_PLACES = ReleaseFile(
    "map_vid_vidorID.json", "the group that each video is in: dataset/nextqa of the GitHub repository doc-doc/NExT-QA"
)
_VIDEOS = ReleaseFile("NExTVideo/", "videos such as 1164/4010069381.mp4, which doc-doc/NExT-QA links to (or of VidOR)")
_COLUMNS = ("video", "question", "answer", "qid", "type")
TYPES = ("CW", "CH", "TN", "TP", "TC", "DB", "DC", "DL", "DO")
"""Why and how; what comes next, came before, is at the same time; yes or no, how many, where, and other things."""


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; keys are the video and the question's number there.

    Many test questions have a second answer, which is a reference, too.
    """
    path, places, seconds = folder / _QUESTIONS[split].path, folder / _PLACES.path, folder / _SECOND.path
    place_of = read_json(places)
    second = _second_answers(seconds) if split == "test" else {}
    videos = ClipFiles(folder / _VIDEOS.path)
    rows = read_csv(path, _COLUMNS)
    if rows and "a0" in rows[0]:
        raise ConfigError(f"{path} is of the multiple-choice edition. Get {_QUESTIONS[split].release}.")
    items = []
    for row in rows:
        video, number, kind = row["video"], row["qid"], row["type"]
        where = f"question {number} of video {video}"
        if kind not in TYPES:
            raise ConfigError(f"{path}, {where}: the type {kind!r} is none of {', '.join(TYPES)}.")
        items.append(
            Item(
                key=f"{video}_{number}",
                medium=MediaFile(videos.path(field(place_of, video, str, places, where)), video=True),
                prompt=templates.question(row["question"]),
                answer=row["answer"],
                references=(row["answer"], *_also(second, video, number, seconds)),
                details={"type": kind},
            )
        )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """WUPS at threshold 0 in percent, the figure of NExT-QA's tables; parts are its columns, and WUPS at 0.9.

    Raises:
      ConfigError: items have no references.
      ImportError: the packages of the extra `eval` are not installed.
    """
    check_references(items, _TITLE)
    types = [item.details["type"] for item in items]
    lenient, strict = (
        [_wups(item, prediction, threshold) for item, prediction in zip(items, predictions, strict=True)]
        for threshold in (0.0, 0.9)
    )
    result = mean_score(lenient)
    columns = {name: 100 * value for name, value in table(types, lenient).items() if name != "WUPS"}
    return Score(result.value, result.per_item, {**columns, "WUPS@0.9": mean_score(strict).value})


def _wups(item: Item, prediction: Prediction, threshold: float) -> float:
    answer, *second = item.references
    also = second[0] if second else None
    return wups(prediction.text, answer, threshold, also, question_type=item.details["type"])


def _second_answers(path: epath.Path) -> Mapping[str, Any]:
    second = read_json(path)
    if not isinstance(second, dict):
        raise ConfigError(f"{path} is not an object of videos with their second answers. Is it the release's own file?")
    return second


def _also(second: Mapping[str, Any], video: str, number: str, path: epath.Path) -> tuple[str, ...]:
    if video not in second:
        return ()
    of_video = field(second, video, dict, path, "the whole file")
    return (field(of_video, number, str, path, f"video {video}"),) if number in of_video else ()


def _files(split: str) -> tuple[ReleaseFile, ...]:
    return (_QUESTIONS[split], *((_SECOND,) if split == "test" else ()), _PLACES, _VIDEOS)


BENCHMARK = Benchmark(
    name="next_qa",
    title=_TITLE,
    metric="WUPS",
    read=read,
    score=score,
    files={split: _files(split) for split in _QUESTIONS},
    sizes={"train": 37523, "val": 5343, "test": 9178},
    query_split="test",
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
)
