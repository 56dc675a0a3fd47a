"""Wrote the questions of the benchmark `answerability`: `python -m data_pipelines.answerability FILE`, once.

Half of the questions of each split can be answered from their picture, and half cannot:

| kind | picture and question | in 600 |
| --- | --- | --- |
| answerable | the question names something of its picture and asks for something else, each attribute as often | 300 |
| absent | it asks for the colour of a shape that is not in the picture | 130 |
| noise | all but a few of the picture's pixels have a random colour | 130 |
| wrong image | an answerable question of another picture, in which what it names is another | 40 |

A question is the beginning of a sentence of the embedded web where there is one that asks for the attribute ("The image
shows one large red", whose next word is the shape), so that a model which was trained on descriptions alone can answer.
No picture is in two splits.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from flamingo_jax.data.scenes.scene import sample_size
from flamingo_jax.data.scenes.words import VOCABULARIES, Attributes

_SEED = 2023
_KINDS = {
    "train": {"answerable": 60},
    "dev": {"answerable": 300, "absent": 130, "noise": 130, "wrong image": 40},
    "test": {"answerable": 300, "absent": 130, "noise": 130, "wrong image": 40},
}
_QUESTIONS = {  # asked -> what is named and may be absent, the prompt
    "colour": ("shape", "Question: What colour is the {shape}? Answer: A"),
    "shape": ("colour", "The image shows one large {colour}"),
    "background": ("shape", "There is {a} {colour} {shape}, and the background is"),
}
_NOISE = 0.97  # share of the pixels


def questions() -> Iterator[dict[str, Any]]:
    """The lines of the file."""
    rng = np.random.default_rng(_SEED)
    for split, kinds in _KINDS.items():
        order = rng.permutation([kind for kind, count in kinds.items() for _ in range(count)]).tolist()
        asked = dict.fromkeys(kinds, 0)
        for number, kind in enumerate(order):
            name = "colour" if kind == "absent" else list(_QUESTIONS)[asked[kind] % len(_QUESTIONS)]
            asked[kind] += 1
            facts = {"key": f"{split}-{number:03}", "split": split, "kind": kind, "asked": name}
            yield facts | _question(rng, kind, name)


def _question(rng: np.random.Generator, kind: str, asked: str) -> dict[str, Any]:
    attributes = Attributes.sample(rng)
    width, height = sample_size(rng, 128, 192)
    picture = {
        **attributes.to_dict(),
        "seed": int(rng.integers(2**32)),
        "width": width,
        "height": height,
        "noise": _NOISE if kind == "noise" else 0.0,
    }
    named, prompt = _QUESTIONS[asked]
    words = attributes.to_dict()
    if kind == "wrong image":
        words = Attributes.sample(rng).to_dict()
    if kind in ("absent", "wrong image"):
        words[named] = str(rng.choice([word for word in VOCABULARIES[named] if word != getattr(attributes, named)]))
    article = "an" if words["colour"][0] in "aeiou" else "a"
    return {
        "picture": picture,
        "prompt": prompt.format(a=article, **words),
        "answer": words[asked] if kind == "answerable" else None,
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(json.dumps(line) + "\n" for line in questions()))
