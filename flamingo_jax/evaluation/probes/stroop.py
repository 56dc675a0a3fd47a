"""Colour words, written in their own or in another colour (Stroop 1935): is it the ink that is seen, or the word?

The paper shows such pictures in a dialogue (figure 11 of its first version). Here each picture is asked about twice:
after the ink, and after the word.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flamingo_jax.data.scenes.drawing import draw_background
from flamingo_jax.data.scenes.scene import Rgb, sample_scene
from flamingo_jax.data.scenes.words import COLOURS, Attributes
from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.generated import Recipe, png
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.probes.pictures import canvas
from flamingo_jax.evaluation.probes.probe import Draft, kinds_of, probe, said, share

INK, WORD = "ink", "word"
QUESTIONS = {INK: "In which colour is the word written?", WORD: "Which word is written?"}
NAMES_WORD = "names the word for the ink"
_ROUNDS = 2  # of each pair of word and other ink
_MEASURED = 100  # pixels: the size at which a word is measured


def drafts(rng: np.random.Generator) -> list[Draft]:
    """60 congruent and 60 incongruent pictures, two questions about each; words and inks equally often."""
    pairs = [*itertools.permutations(COLOURS, 2)] * _ROUNDS
    pairs += [(colour, colour) for colour in COLOURS] * (len(pairs) // len(COLOURS))
    made = []
    for place in rng.permutation(len(pairs)):
        word, ink = pairs[place]
        picture = {"word": word, "ink": ink, **canvas(rng)}
        congruence = "congruent" if word == ink else "incongruent"
        for asked, answer in ((INK, ink), (WORD, word)):
            details: dict[str, Any] = {"kind": f"{asked}, {congruence}", "word": word}
            made.append(Draft(picture, QUESTIONS[asked], answer, COLOURS, details))
    return made


def draw(picture: Recipe) -> bytes:
    """The word on plain ground, as a file."""
    return png(write_word(picture)[0])


def write_word(picture: Recipe) -> tuple[Image.Image, Rgb]:
    """The picture and the colour of its ink."""
    rng = np.random.default_rng(picture["seed"])
    width, height = picture["width"], picture["height"]
    scene = sample_scene(rng, Attributes(picture["ink"], "square", "plain"), size=(width, height))
    image = draw_background(scene)
    left, top, right, bottom = ImageFont.load_default(_MEASURED).getbbox(picture["word"])
    scale = min(rng.uniform(0.65, 0.85) * width / (right - left), 0.45 * height / (bottom - top))
    font = ImageFont.load_default(_MEASURED * scale)
    stroke = max(1, round(0.04 * font.size))  # the font is thin
    left, top, right, bottom = font.getbbox(picture["word"], stroke_width=stroke)
    corner = (rng.uniform(0, width - (right - left)) - left, rng.uniform(0, height - (bottom - top)) - top)
    ImageDraw.Draw(image).text(corner, picture["word"], fill=scene.fill, font=font, stroke_width=stroke)
    return image, scene.fill


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of right answers, of each kind, and how often the word is named where another ink was asked after."""
    answers = [*map(said, items, predictions)]
    right = [answer == item.answer for answer, item in zip(answers, items, strict=True)]
    found = mean_score(right, kinds_of(items))
    lured = [
        answer == item.details["word"]
        for answer, item in zip(answers, items, strict=True)
        if item.details["kind"] == f"{INK}, incongruent"
    ]
    return Score(found.value, found.per_item, {**found.parts, NAMES_WORD: share(lured)})


BENCHMARK = probe(
    name="stroop",
    title="Stroop",
    metric="accuracy",
    drafts=drafts,
    draw=draw,
    score=score,
    note=f"chance is {100 / len(COLOURS):.1f}; {NAMES_WORD!r} is interference, of incongruent pictures alone",
)
