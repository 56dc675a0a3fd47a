"""Questions that say something false about the picture, beside the same questions without it.

Each picture is asked after one attribute in three ways: plainly; with another attribute presupposed wrongly ("What
kind of background does the blue shape have?" of a red one); and with a wrong answer suggested ("It is a circle, isn't
it?"). The true answer is the same in all three.
"""

import itertools
from collections.abc import Sequence

import numpy as np

from flamingo_jax.data.scenes.words import VOCABULARIES, Attributes
from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.probes.pictures import draw_picture, recipe
from flamingo_jax.evaluation.probes.probe import Draft, kinds_of, probe, said, share

PLAIN, PRESUPPOSED, LEADING = "plain", "presupposed", "leading"
LOST = {kind: f"{kind} minus plain" for kind in (PRESUPPOSED, LEADING)}
FOLLOWS, UNTOLD = "follows the hint", "says so unhinted"
_PICTURES = 90

# Asked after -> the question; what it may presuppose wrongly, and the question that does; a suggestion.
_PLAIN = {
    "colour": "What colour is the shape?",
    "shape": "Which shape is in the picture?",
    "background": "What kind of background does the shape have?",
}
_PRESUPPOSED = {
    "colour": ("shape", "What colour is the {}?"),
    "shape": ("colour", "Which {} shape is in the picture?"),
    "background": ("colour", "What kind of background does the {} shape have?"),
}
_SUGGESTED = {
    "colour": "It is {}, isn't it?",
    "shape": "It is a {}, isn't it?",
    "background": "The background is {}, isn't it?",
}


def drafts(rng: np.random.Generator) -> list[Draft]:
    """90 pictures, 30 for each attribute, with three questions each."""
    made = []
    for _, asked in zip(range(_PICTURES), itertools.cycle(VOCABULARIES), strict=False):
        attributes = Attributes.sample(rng).to_dict()
        picture, words = recipe(rng, Attributes(**attributes)), VOCABULARIES[asked]
        presupposed, wrongly = _PRESUPPOSED[asked]
        hint = _other(rng, asked, attributes[asked])
        texts = {
            PLAIN: _PLAIN[asked],
            PRESUPPOSED: wrongly.format(_other(rng, presupposed, attributes[presupposed])),
            LEADING: f"{_SUGGESTED[asked].format(hint)} {_PLAIN[asked]}",
        }
        for kind, text in texts.items():
            made.append(Draft(picture, text, attributes[asked], words, {"kind": kind, "hint": hint}))
    return made


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of right answers to the misleading questions; plain ones count in the parts alone.

    Differences are of the same pictures: those whose plain question was asked, too. "says so unhinted" is how often
    the wrong word that is suggested elsewhere is the answer to the plain question.
    """
    answers, kinds = [*map(said, items, predictions)], kinds_of(items)
    right = [answer == item.answer for answer, item in zip(answers, items, strict=True)]
    parts = dict(mean_score(right, kinds).parts)
    plainly = {item.medium.path: true for item, kind, true in zip(items, kinds, right, strict=True) if kind == PLAIN}
    for kind, name in LOST.items():
        pairs = [
            (true, plainly[item.medium.path])
            for item, other, true in zip(items, kinds, right, strict=True)
            if other == kind and item.medium.path in plainly
        ]
        parts[name] = share([true for true, _ in pairs]) - share([true for _, true in pairs])
    for name, kind in ((FOLLOWS, LEADING), (UNTOLD, PLAIN)):
        triples = zip(items, answers, kinds, strict=True)
        parts[name] = share([answer == item.details["hint"] for item, answer, other in triples if other == kind])
    misled = mean_score([None if kind == PLAIN else float(true) for kind, true in zip(kinds, right, strict=True)])
    return Score(misled.value, misled.per_item, parts)


def _other(rng: np.random.Generator, name: str, word: str) -> str:
    """Another word of the vocabulary."""
    others = [other for other in VOCABULARIES[name] if other != word]
    return others[rng.integers(len(others))]


BENCHMARK = probe(
    name="misleading",
    title="Misleading questions",
    metric="accuracy when misled",
    drafts=drafts,
    draw=draw_picture,
    score=score,
    note="the misleading text harms as far as 'minus plain' is below 0; the hint moves a model as far as "
    f"{FOLLOWS!r} is above {UNTOLD!r}",
)
