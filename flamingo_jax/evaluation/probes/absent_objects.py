"""Is it there? Yes/no questions about what is and what is not in the picture, as POPE asks (Li et al. 2023)."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from flamingo_jax.data.scenes.drawing import draw_background, paint_shape
from flamingo_jax.data.scenes.scene import Scene, sample_scene
from flamingo_jax.data.scenes.words import BACKGROUNDS, Attributes
from flamingo_jax.evaluation.benchmarks.benchmark import Item, Prediction, Score
from flamingo_jax.evaluation.benchmarks.generated import Recipe, png
from flamingo_jax.evaluation.benchmarks.scores import mean_score
from flamingo_jax.evaluation.probes.objects import KINDS, Object, World
from flamingo_jax.evaluation.probes.probe import Draft, kinds_of, probe, said, share

YES, NO = "yes", "no"
_PICTURES = 40
_CELLS = ((0, 0), (0, 1), (1, 0), (1, 1))


def drafts(rng: np.random.Generator) -> list[Draft]:
    """40 pictures of three objects; six questions about each: one with "yes" and one with "no" for each kind."""
    world = World(rng)
    made = []
    for objects in world.pictures[:_PICTURES]:
        background = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
        picture = {
            "objects": [list(one) for one in objects],
            "cells": rng.permutation(len(_CELLS))[: len(objects)].tolist(),
            "background": background,
            "side": int(rng.integers(224, 321)),
            "seed": int(rng.integers(2**32)),
        }
        taken: list[Object] = []
        for kind, present in zip(KINDS, rng.permutation(objects).tolist(), strict=True):
            taken.append(world.absent(objects, kind, taken, rng))
            for (colour, shape), answer in ((present, YES), (taken[-1], NO)):
                details: dict[str, Any] = {"kind": kind, "object": [colour, shape]}
                made.append(Draft(picture, _question(colour, shape), answer, (YES, NO), details))
    return made


def _question(colour: str, shape: str) -> str:
    return f"Is there {'an' if colour[0] in 'aeiou' else 'a'} {colour} {shape} in the picture?"


def draw(picture: Recipe) -> bytes:
    """The objects, each in a quarter of its own, as a file."""
    scenes = scenes_of(picture)
    image: Image.Image = draw_background(scenes[0])
    for scene in scenes:
        image = paint_shape(image, scene)
    return png(image)


def scenes_of(picture: Recipe) -> list[Scene]:
    """A scene for each object, all of the picture's size."""
    rng = np.random.default_rng(picture["seed"])
    side, quarter = picture["side"], picture["side"] // 2
    scenes = []
    for (colour, shape), cell in zip(picture["objects"], picture["cells"], strict=True):
        attributes = Attributes(colour, shape, picture["background"])
        scene = sample_scene(rng, attributes, size=(quarter, quarter), extent=(0.6, 0.8))
        down, across = _CELLS[cell]
        centre = (scene.centre[0] + across * quarter, scene.centre[1] + down * quarter)
        scenes.append(dataclasses.replace(scene, width=side, height=side, centre=centre))
    return scenes


def score(items: Sequence[Item], predictions: Sequence[Prediction]) -> Score:
    """Percent of right answers; precision, recall and F1 of "yes", its share, and accuracy and F1 by kind."""
    yes = [said(item, prediction) == YES for item, prediction in zip(items, predictions, strict=True)]
    there = [item.answer == YES for item in items]
    kinds = kinds_of(items)
    accuracies = mean_score([float(one == other) for one, other in zip(yes, there, strict=True)], kinds)
    precision, recall, f1 = _yes_figures(yes, there)
    parts = {"precision": precision, "recall": recall, "F1": f1, "says yes": share(yes)}
    for kind in KINDS:
        mine = [place for place, other in enumerate(kinds) if other == kind]
        if mine:
            parts[f"{kind}, accuracy"] = accuracies.parts[kind]
            parts[f"{kind}, F1"] = _yes_figures([yes[place] for place in mine], [there[place] for place in mine])[2]
    return Score(accuracies.value, accuracies.per_item, parts)


def _yes_figures(yes: Sequence[bool], there: Sequence[bool]) -> tuple[float, float, float]:
    """Precision, recall and F1 in percent; NaN where nothing could be counted."""
    precision = share([one for one, said_so in zip(there, yes, strict=True) if said_so])
    recall = share([said_so for said_so, one in zip(yes, there, strict=True) if one])
    both = sum(one and said_so for one, said_so in zip(there, yes, strict=True))
    either = sum(yes) + sum(there)
    return precision, recall, 200 * both / either if either else float("nan")


BENCHMARK = probe(
    name="absent_objects",
    title="Absent objects",
    metric="accuracy",
    drafts=drafts,
    draw=draw,
    score=score,
    note="half of the questions are to be answered with yes; kinds are POPE's, each with its own half of yes",
)
