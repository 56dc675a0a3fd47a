"""YouCook2: the steps of 1,333 cooking videos of train and 457 of val, each with a sentence that says what is done."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import captioning, templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.records import seconds
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile

_TITLE = "YouCook2"
_STEPS = ReleaseFile(
    "youcookii_annotations_trainval.json",
    "steps of the training and validation videos: youcookii_annotations_trainval.tar.gz of YouCook2's download page",
    archive="youcookii_annotations_trainval.tar.gz",
)
_SUBSETS = {"train": "training", "val": "validation"}
_VIDEOS = {
    split: ReleaseFile(
        f"raw_videos/{subset}/",
        f"whole videos as <recipe type>/<YouTube id>.mp4 (or mkv, webm), as the script in YouCook2's scripts.tar.gz "
        f"fetches those of its {split}_list.txt",
    )
    for split, subset in _SUBSETS.items()
}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The steps of the split's videos: keys are the video and the step's number, spans the step's seconds."""
    path, clips = folder / _STEPS.path, ClipFiles(folder / _VIDEOS[split].path)
    items = []
    for video, record in field(read_json(path), "database", dict, path, "the whole file").items():
        where = f"video {video}"
        if field(record, "subset", str, path, where) != _SUBSETS[split]:
            continue
        clip = clips.path(f"{field(record, 'recipe_type', str, path, where)}/{video}", video)
        for step in field(record, "annotations", list, path, where):
            sentence = field(step, "sentence", str, path, where)
            items.append(
                Item(
                    key=f"{video}_{field(step, 'id', int, path, where)}",
                    medium=MediaFile(clip, video=True, span=_span(step, path, where)),
                    prompt=templates.CAPTION,
                    answer=" ".join(sentence.split()),
                    references=(sentence,),
                )
            )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """CIDEr times 100 of each step's sentence."""
    return captioning.caption_score(items, predictions, _TITLE)


def _span(step: dict, path: epath.Path, where: str) -> tuple[float, float]:
    segment = field(step, "segment", list, path, where)
    if len(segment) != 2:
        raise ConfigError(f"{path}, {where}: the segment {segment} is not a start and an end in seconds.")
    return seconds(*segment, path, where)


BENCHMARK = Benchmark(
    name="youcook2",
    title=_TITLE,
    metric="CIDEr",
    read=read,
    score=score,
    files={split: (_STEPS, videos) for split, videos in _VIDEOS.items()},
    query_split="val",
    keywords=captioning.KEYWORDS,
    partial=True,
)
