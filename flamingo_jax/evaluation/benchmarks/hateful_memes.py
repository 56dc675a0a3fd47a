"""HatefulMemes: whether a meme is hateful, from the picture and the text that is written on it.

8,500 memes of train, 500 and 540 of dev_seen and dev_unseen, 1,000 and 2,000 of test_seen and test_unseen; the paper
asks about test_seen.
"""

import math
from collections.abc import Sequence

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json_lines
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import check_references
from flamingo_jax.evaluation.benchmarks.unique_keys import unique_keys
from flamingo_jax.evaluation.metrics.roc_auc import roc_auc

_TITLE = "HatefulMemes"
_RELEASE = "hateful_memes.zip of the Hateful Memes Challenge (Meta AI; its terms are accepted on the challenge's page)"
_IMAGES = ReleaseFile("img/", f"the pictures: {_RELEASE}")
_SPLITS = ("train", "dev_seen", "dev_unseen", "test_seen", "test_unseen")
_ANSWERS = ("no", "yes")
"""The candidates, at the places that the release's labels name: 1 is hateful."""


def read(folder: epath.Path, split: str) -> list[Item]:
    """The memes of the split; keys are the release's ids with five digits, as its pictures' names have them.

    The candidates' places are not the items' labels: examples are drawn from all of train, not balanced.
    """
    path = folder / f"{split}.jsonl"
    records = read_json_lines(path)
    ids = [str(field(record, "id", (int, str), path, place)).zfill(5) for place, record in enumerate(records)]
    return [_item(folder, key, record, path) for key, record in zip(unique_keys(ids), records, strict=True)]


def _item(folder: epath.Path, key: str, record: dict, path: epath.Path) -> Item:
    where = f"meme {key}"
    label = field(record, "label", int, path, where) if "label" in record else None
    if label not in (None, 0, 1):
        raise ConfigError(f'{path}, {where}: "label" is {label} instead of 0 or 1')
    answer = "" if label is None else _ANSWERS[label]
    return Item(
        key=key,
        medium=MediaFile(f"{folder}/{field(record, 'img', str, path, where)}"),
        prompt=templates.hateful_meme(field(record, "text", str, path, where)),
        answer=answer,
        references=(answer,) if answer else (),
        candidates=_ANSWERS,
    )


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """ROC AUC times 100 of how much likelier "yes" is than "no"; NaN where all memes have one label.

    Raises:
      ConfigError: items have no public labels.
    """
    check_references(items, _TITLE)
    labels = [_ANSWERS.index(item.references[0]) for item in items]
    if len(set(labels)) < 2:
        return Score(math.nan)
    return Score(100 * roc_auc(labels, [one.scores[1] - one.scores[0] for one in predictions]))


BENCHMARK = Benchmark(
    name="hateful_memes",
    title=_TITLE,
    metric="ROC AUC",
    read=read,
    score=score,
    files={split: (ReleaseFile(f"{split}.jsonl", _RELEASE), _IMAGES) for split in _SPLITS},
    sizes={"train": 8500, "dev_seen": 500, "dev_unseen": 540, "test_seen": 1000, "test_unseen": 2000},
    query_split="test_seen",
    text_examples=0,
)
