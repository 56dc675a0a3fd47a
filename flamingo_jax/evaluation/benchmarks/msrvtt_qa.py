"""MSRVTT-QA: 158,581 questions of train, 12,278 of val and 72,821 of test about the 10,000 clips of MSR-VTT."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import short_answers, visual_questions
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate

_TITLE = "MSRVTT-QA"
_QUESTIONS = "questions: MSRVTT-QA.zip, which the GitHub repository xudejing/video-question-answering links to"
_EDITION = ("videos/all/",)  # of the packed edition, which has all clips in one folder
_TRAIN = ReleaseFile(
    "TrainValVideo/",
    "clips video0.mp4 to video7009.mp4: train_val_videos.zip of MSR-VTT",
    _EDITION,
    archive="train_val_videos.zip",
)
_TEST = ReleaseFile(
    "TestVideo/",
    "clips video7010.mp4 to video9999.mp4: test_videos.zip of MSR-VTT",
    _EDITION,
    archive="test_videos.zip",
)
_CLIPS = {"train": _TRAIN, "val": _TRAIN, "test": _TEST}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; keys are their numbers."""
    clips = ClipFiles(locate(folder, _CLIPS[split]))
    return short_answers.read_questions(folder, split, lambda video: clips.path(f"video{video}"))


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The accuracy of Just Ask's evaluation, in percent."""
    return short_answers.accuracy(items, predictions, _TITLE)


BENCHMARK = Benchmark(
    name="msrvtt_qa",
    title=_TITLE,
    metric="top-1 accuracy",
    read=read,
    score=score,
    files={
        split: (*short_answers.tables(split, "{}_qa.json", _QUESTIONS, "MSRVTT-QA.zip"), clips)
        for split, clips in _CLIPS.items()
    },
    sizes={"train": 158581, "val": 12278, "test": 72821},
    query_split="test",
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    partial=True,
)
