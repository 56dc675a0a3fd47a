"""Few-shot questions about the generated web that the quickstart trains on, whose pictures' attributes are known.

Its folder is the quickstart's: `web/truth.json` says what each picture shows, `web/site` has the pictures, and
`corpus/m3w` tells which pages were held out. The vocabularies of the attributes are disjoint, and no other sentence of
the site uses their words, so an answer can be right by the picture or by chance only.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath

from flamingo_jax.data.sources import open_source
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Prediction, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.benchmarks.templates import CAPTION, question
from flamingo_jax.evaluation.cases import Truth, attributes_in

_DATASET = "m3w"
_MADE_BY = "written by `make quickstart` into its --workdir"
_FILES = (
    ReleaseFile("web/truth.json", _MADE_BY),
    ReleaseFile("web/site/images/", _MADE_BY),
    ReleaseFile(f"corpus/{_DATASET}/", _MADE_BY),
)
_QUESTIONS = {
    "colour": "What colour is the shape?",
    "shape": "Which shape is in the picture?",
    "background": "What kind of background does it have?",
}


def _items(folder: epath.Path, split: str, ask: Callable[[str, MediaFile, dict, Truth], list[Item]]) -> list[Item]:
    """What `ask` makes of each picture of the split's pages that has a sentence of its own."""
    truth = Truth.load(str(folder / "web" / "truth.json"), _DATASET)
    source = open_source(str(folder / "corpus" / _DATASET), split)
    found = []
    for place in range(len(source)):
        for medium in source[place].media:
            if entry := truth.images.get(medium.source):
                file = MediaFile(str(folder / "web" / "site" / medium.source))
                found += ask(medium.source, file, entry, truth)
    return found


def _captions(key: str, file: MediaFile, entry: dict, truth: Truth) -> list[Item]:
    details = {"attributes": entry["attributes"], "words": {name: list(words) for name, words in truth.words.items()}}
    return [Item(key, file, CAPTION, entry["caption"], (entry["caption"],), details=details)]


def _questions(key: str, file: MediaFile, entry: dict, truth: Truth) -> list[Item]:
    return [
        Item(
            f"{key} {name}",
            file,
            question(_QUESTIONS[name]),
            entry["attributes"][name],
            (entry["attributes"][name],),
            candidates=tuple(words),
            details={"attribute": name},
        )
        for name, words in truth.words.items()
    ]


def _named(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of the attributes that the caption names rightly (the first word of each kind counts)."""
    names = list(items[0].details["words"])
    right = np.array(
        [
            [said[name] == item.details["attributes"][name] for name in names]
            for item, prediction in zip(items, predictions, strict=True)
            for said in [attributes_in(prediction.text, item.details["words"])]
        ]
    )
    parts = dict(zip(names, (100 * right.mean(axis=0)).tolist(), strict=True))
    return Score(100 * float(right.mean()), tuple((100 * right.mean(axis=1)).tolist()), parts)


def _ranked_first(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of the questions whose true answer is the likeliest."""
    right = [
        float(item.candidates[int(np.argmax(prediction.scores))] == item.answer)
        for item, prediction in zip(items, predictions, strict=True)
    ]
    return mean_score(right, [item.details["attribute"] for item in items])


CAPTIONS = Benchmark(
    name="embedded_web_captions",
    title="Embedded web, captions",
    metric="named attributes",
    read=functools.partial(_items, ask=_captions),
    score=_named,
    files={"train": _FILES, "validation": _FILES},
    query_split="validation",
    dev_queries=64,
    support_size=512,
    keywords=(CAPTION,),
    max_new_tokens=32,
)
QUESTIONS = Benchmark(
    name="embedded_web_questions",
    title="Embedded web, questions",
    metric="accuracy",
    read=functools.partial(_items, ask=_questions),
    score=_ranked_first,
    files={"train": _FILES, "validation": _FILES},
    query_split="validation",
    dev_queries=64,
    support_size=1536,
    text_examples=0,
)
