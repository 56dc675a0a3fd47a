"""VATEX: 25,991 clips of train, 3,000 of val and 6,000 of the public test, each with ten English captions."""

from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import captioning, templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.records import read_records, texts
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile

_TITLE = "VATEX"
_CLIPS = ReleaseFile(
    "videos/",
    "clips such as Ptf_2VRj-V0_000122_000132.mp4, cut from the YouTube videos that the captions' videoIDs name "
    "(id, start and end in seconds)",
)
_CAPTIONS = {
    split: ReleaseFile(name, "captions, on the download page of VATEX's own site")
    for split, name in (
        ("train", "vatex_training_v1.0.json"),
        ("val", "vatex_validation_v1.0.json"),
        ("test", "vatex_public_test_english_v1.1.json"),
    )
}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The clips of the split; keys are their `videoID`s. An example shows the first caption."""
    path, clips = folder / _CAPTIONS[split].path, ClipFiles(folder / _CLIPS.path)
    items = []
    for place, record in enumerate(read_records(path, _without_chinese)):
        video, captions = field(record, "videoID", str, path, place), texts(record, "enCap", path, place)
        items.append(
            Item(
                key=video,
                medium=MediaFile(clips.path(video), video=True),
                prompt=templates.CAPTION,
                answer=" ".join(captions[0].split()),
                references=captions,
            )
        )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """CIDEr times 100."""
    return captioning.caption_score(items, predictions, _TITLE)


def _without_chinese(record: dict) -> dict:
    record.pop("chCap", None)
    return record


BENCHMARK = Benchmark(
    name="vatex",
    title=_TITLE,
    metric="CIDEr",
    read=read,
    score=score,
    files={split: (captions, _CLIPS) for split, captions in _CAPTIONS.items()},
    sizes={"train": 25991, "val": 3000, "test": 6000},
    query_split="test",
    dev_queries=1024,
    keywords=captioning.KEYWORDS,
    max_new_tokens=30,  # the captions have 15 words on average
    partial=True,
)
