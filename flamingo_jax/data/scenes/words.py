"""What a picture shows, in words: the three vocabularies and the sentences that use them.

The vocabularies are disjoint and no other sentence of the generator uses any of their words, so the words of a
description can be known from its picture only. Every description names each attribute exactly once.
"""

import dataclasses

import numpy as np

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange")
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")
BACKGROUNDS = ("plain", "striped", "dotted", "checked", "brick")
VOCABULARIES = {"colour": COLOURS, "shape": SHAPES, "background": BACKGROUNDS}

# What the shape of a clip does, as the verb phrase of its caption.
MOVEMENTS = (
    "moves from left to right",
    "moves from right to left",
    "falls from top to bottom",
    "rises from bottom to top",
    "grows larger",
    "becomes smaller",
)

_STILL_SENTENCES = (
    "{A} {colour} {shape} on a {background} background.",
    "This picture shows {a} {colour} {shape} against a {background} background.",
    "Here is {a} {colour} {shape} in front of a {background} background.",
    "The image shows one large {colour} {shape} over a {background} background.",
    "We see {a} {colour} {shape} placed on a {background} background.",
    "There is {a} {colour} {shape}, and the background is {background}.",
)
_CLIP_SENTENCES = (
    "{A} {colour} {shape} {movement} on a {background} background.",
    "In this clip {a} {colour} {shape} {movement} over a {background} background.",
    "On a {background} background, {a} {colour} {shape} {movement}.",
)
NUM_STILL_SENTENCES = len(_STILL_SENTENCES)


@dataclasses.dataclass(frozen=True, slots=True)
class Attributes:
    """The three words that say what a picture shows, one from each vocabulary."""

    colour: str
    shape: str
    background: str

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Attributes":
        """Draws each attribute uniformly and independently of the others."""
        return cls(**{name: words[rng.integers(len(words))] for name, words in VOCABULARIES.items()})

    def to_dict(self) -> dict[str, str]:
        """Attribute name to word."""
        return dataclasses.asdict(self)


def describe_still(attributes: Attributes, sentence: int) -> str:
    """The description of a picture, by sentence pattern `sentence` in [0, NUM_STILL_SENTENCES)."""
    return _fill(_STILL_SENTENCES[sentence], attributes)


def describe_clip(attributes: Attributes, movement: str, rng: np.random.Generator) -> str:
    """The caption of a clip in which the shape does what `movement` (one of MOVEMENTS) says."""
    return _fill(_CLIP_SENTENCES[rng.integers(len(_CLIP_SENTENCES))], attributes, movement=movement)


def _fill(pattern: str, attributes: Attributes, **more: str) -> str:
    article = "an" if attributes.colour[0] in "aeiou" else "a"
    return pattern.format(a=article, A=article.capitalize(), **attributes.to_dict(), **more)
