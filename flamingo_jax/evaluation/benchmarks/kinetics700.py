"""Kinetics-700 (2020): clips of 700 human actions, about 540,000 of train and 34,000 of val, as classification."""

from collections.abc import Mapping, Sequence

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import read_csv
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles
from flamingo_jax.evaluation.benchmarks.records import whole
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate
from flamingo_jax.evaluation.benchmarks.scores import mean_score, top_k_hits
from flamingo_jax.evaluation.benchmarks.unique_keys import unique_keys

_TITLE = "Kinetics-700"
_ARCHIVE = "kinetics700_2020.tar.gz"
_RELEASE = f"of {_ARCHIVE} on the site of the Kinetics datasets of DeepMind"
_TABLES = {
    "train": ReleaseFile(
        "train.csv", f"train.csv {_RELEASE}", alternatives=("annotations/train.csv",), archive=_ARCHIVE
    ),
    "val": ReleaseFile(
        "validate.csv",
        f"validate.csv {_RELEASE}",
        alternatives=("val.csv", "annotations/val.csv"),  # as the CVD Foundation names it
        archive=_ARCHIVE,
    ),
}
_LAYOUT = (
    "clips of {} as <class>/<YouTube id>_<start>_<end>.mp4 with six digits each, such as those of the CVD Foundation"
)
_CLIPS = {
    "train": ReleaseFile("train/", _LAYOUT.format("train.csv")),
    "val": ReleaseFile("val/", _LAYOUT.format("validate.csv"), alternatives=("validate/",)),
}


def read(folder: epath.Path, split: str) -> list[Item]:
    """The clips of the split; keys are their names, YouTube id with start and end.

    Classes are those of the table of val, in alphabetical order, in either split.
    """
    names = tuple(sorted({row["label"] for row in _rows(folder, "val")}))
    labels = {name: label for label, name in enumerate(names)}
    rows, table = _rows(folder, split), locate(folder, _TABLES[split])
    if foreign := sorted({row["label"] for row in rows} - labels.keys()):
        raise ConfigError(
            f"{table} has the class {foreign[0]!r}, which {locate(folder, _TABLES['val'])} lacks. "
            "Are both of one release, and complete?"
        )
    clips = ClipFiles(locate(folder, _CLIPS[split]))
    stems = [_stem(row, table, place) for place, row in enumerate(rows)]
    items = []
    for key, stem, row in zip(unique_keys(stems), stems, rows, strict=True):
        name = row["label"]
        path = clips.path(f"{name}/{stem}", f"{name.replace(' ', '_')}/{stem}", stem)
        items.append(
            Item(
                key=key,
                medium=MediaFile(path, video=True),
                prompt=templates.CAPTION,
                answer=name,
                references=(name,),
                candidates=names,
                label=labels[name],
            )
        )
    return items


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """The mean of top-1 and top-5 accuracy in percent, with both as parts."""
    hits = {k: top_k_hits(items, predictions, k) for k in (1, 5)}
    both = mean_score([(first + five) / 2 for first, five in zip(hits[1], hits[5], strict=True)])
    return Score(both.value, both.per_item, {f"top-{k}": mean_score(values).value for k, values in hits.items()})


def _rows(folder: epath.Path, split: str) -> list[dict[str, str]]:
    return read_csv(locate(folder, _TABLES[split]), ("label", "youtube_id", "time_start", "time_end"))


def _stem(row: Mapping[str, str], path: epath.Path, place: int) -> str:
    start, end = (whole(row, name, path, place) for name in ("time_start", "time_end"))
    return f"{row['youtube_id']}_{start:06d}_{end:06d}"


BENCHMARK = Benchmark(
    name="kinetics700",
    title=_TITLE,
    metric="mean of top-1 and top-5",
    read=read,
    score=score,
    files={split: (*dict.fromkeys((_TABLES[split], _TABLES["val"])), clips) for split, clips in _CLIPS.items()},
    query_split="val",
    dev_queries=7000,
    support_size=32,
    max_shots=16,
    text_examples=0,
    partial=True,
)
