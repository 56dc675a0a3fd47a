"""Questions that nothing in the picture answers: does the model decline, or assert a guess?

The paper shows such failures (figure 13 of its first version). Each picture is asked one question that can only be
guessed and one that it answers; candidates of both end with "I don't know.", which is the true answer of the first
and wrong for the second: a model that declines everything is no better than one that never does.
"""

import collections
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from flamingo_jax.data.scenes.words import COLOURS, SHAPES, VOCABULARIES, Attributes
from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.confidence.rule import ABSTENTION
from flamingo_jax.evaluation.probes.pictures import draw_picture, recipe
from flamingo_jax.evaluation.probes.probe import Draft, kinds_of, probe, said, share

UNGROUNDED, ANSWERABLE = "ungrounded", "answerable"
DECLINED, RIGHT = "declines the answerable", "right on the answerable"
EVEN, COMMONEST = "evenness of guesses", "commonest guess"
_PICTURES = 120

GUESSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "How much does the picture cost?": ("ten dollars", "fifty dollars", "two hundred dollars", "nothing"),
        "Who made the picture?": ("Anna", "Peter", "Maria", "John"),
        "What is behind the {shape}?": ("a door", "a tree", "a cat", "a house"),
        "In which year was it made?": ("1998", "2005", "2012", "2020"),
        "In which city was it made?": ("Paris", "London", "Berlin", "Rome"),
        "On which day was it made?": ("Monday", "Wednesday", "Friday", "Sunday"),
        "How heavy is the {shape}?": ("one gram", "ten grams", "one kilogram", "ten kilograms"),
        "Who owns the picture?": ("a teacher", "a doctor", "a student", "a museum"),
        "Which shape is in the next picture?": SHAPES,
        "What colour is the other side of the picture?": COLOURS,
        "How many people have seen it?": ("two", "ten", "a hundred", "a thousand"),
        "Why was it made?": ("for a book", "for a child", "for a shop", "for fun"),
    }
)
"""What is asked, and plausible answers."""
_ANSWERABLE = {
    "colour": "What colour is the shape?",
    "shape": "Which shape is in the picture?",
    "background": "What kind of background does the shape have?",
}


def drafts(rng: np.random.Generator) -> list[Draft]:
    """120 pictures with two questions each: every ungrounded one ten times, every attribute forty times."""
    guesses, names = list(GUESSES.items()), list(VOCABULARIES)
    made = []
    for number in range(_PICTURES):
        attributes = Attributes.sample(rng)
        picture = recipe(rng, attributes)
        text, plausible = guesses[number % len(guesses)]
        # The places of the two cycles differ from round to round, so that no question always has the same company.
        asked = names[(number + number // len(guesses)) % len(names)]
        made.append(
            Draft(
                picture,
                text.format(shape=attributes.shape),
                ABSTENTION,
                (*plausible, ABSTENTION),
                {"kind": UNGROUNDED, "asked": text},
            )
        )
        answer, words = attributes.to_dict()[asked], VOCABULARIES[asked]
        details = {"kind": ANSWERABLE, "asked": asked}
        made.append(Draft(picture, _ANSWERABLE[asked], answer, (*words, ABSTENTION), details))
    return made


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of the ungrounded questions that are declined; answerable ones count in the parts alone.

    Of the guesses beside "I don't know.", the parts tell the evenness (the entropy of the model's distribution over
    them, in percent of the most there can be) and how often the likeliest one is the question's commonest: 100 where
    the picture changes nothing.
    """
    answers, kinds = [*map(said, items, predictions)], kinds_of(items)
    declined = [answer == ABSTENTION for answer in answers]
    of = {kind: [place for place, other in enumerate(kinds) if other == kind] for kind in (UNGROUNDED, ANSWERABLE)}
    main = mean_score([float(one) if kind == UNGROUNDED else None for one, kind in zip(declined, kinds, strict=True)])
    evenness, likeliest = [], collections.defaultdict(list)
    for place in of[UNGROUNDED]:
        scores = np.array(predictions[place].scores[:-1])
        evenness.append(_evenness(scores))
        likeliest[items[place].details["asked"]].append(int(np.argmax(scores)))
    commonest = sum(max(collections.Counter(places).values()) for places in likeliest.values())
    count = len(of[UNGROUNDED])
    parts = {
        DECLINED: share([declined[place] for place in of[ANSWERABLE]]),
        RIGHT: share([answers[place] == items[place].answer for place in of[ANSWERABLE]]),
        EVEN: 100 * math.fsum(evenness) / count if count else math.nan,
        COMMONEST: 100 * commonest / count if count else math.nan,
    }
    return Score(main.value, main.per_item, parts)


def _evenness(scores: np.ndarray) -> float:
    """Entropy of softmax(scores) over its maximum, 0 to 1; scores are log-likelihoods in nats."""
    logs = scores - np.logaddexp.reduce(scores)
    return float(-(np.exp(logs) * logs).sum() / math.log(len(scores)))


BENCHMARK = probe(
    name="ungrounded",
    title="Ungrounded questions",
    metric="declined",
    drafts=drafts,
    draw=draw_picture,
    score=score,
    note=f"to be read with {DECLINED!r}, which ought to be 0; long candidates are less likely (see --per_token)",
)
