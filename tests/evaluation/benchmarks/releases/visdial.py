"""VisDial 1.0, small: 8 dialogues of train, 7 of val, of which 6 are judged, and 6 of test."""

import json
import random
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape

OPTIONS = 100
ROUNDS = 10
_QUESTIONS = [
    "is it a photo",
    "what color is the shape",
    "is it large",
    "any people",
    "how many shapes are there",
    "is the background grey",
    "can you see the sky",
    "is it sunny ?",
    "any text",
    "what shape is it",
    "is it in color",
]
_ANSWERS = [
    "no",
    "yes",
    "no, it isn't",
    "1",
    "i don't think so",
    "can't tell",
    *(f"maybe {place}" for place in range(120)),
]


def write(folder: Path) -> None:
    """Writes the dialogues, the dense annotations of val and the pictures; train's are COCO's, of both folders."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, split in enumerate(("train", "val", "test")):
        dialogues = [_dialogue(split, 100 * place + number) for number in range({"val": 7, "test": 6}.get(split, 8))]
        for number, dialogue in enumerate(dialogues):
            draw(folder / _picture(split, number, dialogue["image_id"]), number)
        data = {"questions": _QUESTIONS, "answers": _ANSWERS, "dialogs": dialogues}
        content = {"version": "1.0", "split": {"train": "train2018"}.get(split, f"{split}2018"), "data": data}
        (folder / f"visdial_1.0_{split}.json").write_text(json.dumps(content), encoding="utf-8")
        if split == "val":
            dense = [_judged(number, dialogue) for number, dialogue in enumerate(dialogues[:6])]
            (folder / "visdial_1.0_val_dense_annotations.json").write_text(json.dumps(dense), encoding="utf-8")


def _picture(split: str, number: int, image_id: int) -> str:
    if split == "train":
        name = ("train2014", "val2014")[number % 2]
        return f"{name}/COCO_{name}_{image_id:012d}.jpg"
    return f"VisualDialog_{split}2018/VisualDialog_{split}2018_{image_id:012d}.jpg"


def _dialogue(split: str, number: int) -> dict:
    """A dialogue; those of test end in a question without its answer."""
    rng = random.Random(number)
    turns = []
    for turn in range(3 + number % 8 if split == "test" else ROUNDS):
        question, true = (turn + number) % len(_QUESTIONS), rng.randrange(len(_ANSWERS))
        options = rng.sample([place for place in range(len(_ANSWERS)) if place != true], OPTIONS - 1)
        index = rng.randrange(OPTIONS)
        options.insert(index, true)
        turns.append({"question": question, "answer": true, "answer_options": options, "gt_index": index})
    if split == "test":
        for turn in turns[:-1]:
            del turn["answer_options"], turn["gt_index"]
        del turns[-1]["answer"], turns[-1]["gt_index"]
    caption = f"a {colour(number % 100)} {shape(number % 100)} on a grey background "
    return {"image_id": 378466 + number, "caption": caption, "dialog": turns}


def _judged(number: int, dialogue: dict) -> dict:
    """The dense annotation of round number + 1: three options are relevant, of the last one none."""
    relevance = [0.0] * OPTIONS
    if number < 5:
        true = dialogue["dialog"][number]["gt_index"]
        for place, value in ((true, 1.0), ((true + 7) % OPTIONS, 0.6), ((true + 31) % OPTIONS, 0.2)):
            relevance[place] = value
    return {"image_id": dialogue["image_id"], "round_id": number + 1, "gt_relevance": relevance}
