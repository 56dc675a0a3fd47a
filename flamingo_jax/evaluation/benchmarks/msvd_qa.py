"""MSVD-QA: 30,933 questions of train, 6,415 of val and 13,157 of test about 1,970 YouTube clips of MSVD."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import short_answers, visual_questions
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile

_TITLE = "MSVD-QA"
_ARCHIVE = "MSVD-QA.zip"
_QUESTIONS = "questions: MSVD-QA.zip, which the GitHub repository xudejing/video-question-answering links to"
_MAPPING = ReleaseFile(
    "youtube_mapping.txt", "which clip has which number: in MSVD-QA.zip, beside the questions", archive=_ARCHIVE
)
_CLIPS = ReleaseFile(
    "YouTubeClips/", "1,970 clips such as -4wsuPCjDBc_5_15.avi: YouTubeClips.tar of the MSVD corpus of UT Austin"
)


def read(folder: epath.Path, split: str) -> list[Item]:
    """The questions of the split; keys are their numbers.

    They name their clips by number. The mapping gives the name, which is the YouTube id with start and end.
    """
    mapping = folder / _MAPPING.path
    names, clips = _read_mapping(mapping), ClipFiles(folder / _CLIPS.path)

    def clip_of(video: int) -> str:
        if video not in names:
            raise ConfigError(f"{mapping} has no line for vid{video}, which {split}_qa.json asks about.")
        return clips.path(names[video])

    return short_answers.read_questions(folder, split, clip_of)


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The accuracy of Just Ask's evaluation, in percent."""
    return short_answers.accuracy(items, predictions, _TITLE)


def _read_mapping(path: epath.Path) -> dict[int, str]:
    """Number of a clip -> its name, from lines such as "-4wsuPCjDBc_5_15 vid1"."""
    names = {}
    text = path.read_bytes().decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, _, video = line.strip().partition(" ")
        if not video.startswith("vid") or not video[3:].isdigit():
            raise ConfigError(
                f"{path}, line {number} is {line[:80]!r} instead of a clip's name, a space, and vid with a number. "
                "Was its download cut short? Get it from its release again."
            )
        names[int(video[3:])] = name
    return names


BENCHMARK = Benchmark(
    name="msvd_qa",
    title=_TITLE,
    metric="top-1 accuracy",
    read=read,
    score=score,
    files={
        split: (*short_answers.tables(split, "{}_qa.json", _QUESTIONS, _ARCHIVE), _MAPPING, _CLIPS)
        for split in ("train", "val", "test")
    },
    sizes={"train": 30933, "val": 6415, "test": 13157},
    query_split="test",
    dev_queries=1024,
    keywords=visual_questions.KEYWORDS,
    max_new_tokens=visual_questions.MAX_NEW_TOKENS,
    partial=True,
)
