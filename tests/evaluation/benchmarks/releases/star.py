"""STAR as its repository publishes it: questions with situation graphs, and the videos of Charades at 480p."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

_QUESTIONS = {
    "Interaction_T1": ("Which object was tidied up by the person?", "The clothes. The blanket. The towel. The table."),
    "Sequence_T2": ("What happened before the person sat down?", "Took the cup. Put down the bag. Ate the food. Ran."),
    "Prediction_T3": ("What will the person do next?", "Open the door. Close the book. Sit at the table. Wash it."),
    "Feasibility_T4": ("Which other object is possible to be held?", "The broom. The dish. The phone. The pillow."),
}
_VIDEOS = {"train": ("6H78U", "01THT"), "val": ("XFYQG", "0A8CF"), "test": ("ZS9XR", "7UPGT")}
_VAL_TYPES = ("Interaction_T1",) * 3 + ("Sequence_T2",) * 2 + ("Prediction_T3", "Feasibility_T4")


def write(folder: Path) -> None:
    """Eight questions of train, seven of val (three, two, one and one of each type), four of test without answers."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"train": tuple(_QUESTIONS) * 2, "val": _VAL_TYPES, "test": tuple(_QUESTIONS)}
    for split, own in kinds.items():
        records = [_record(kind, number, split) for number, kind in enumerate(own)]
        (folder / f"STAR_{split}.json").write_text(json.dumps(records))
        for video in _VIDEOS[split]:
            write_clip(folder / "Charades_v1_480" / f"{video}.mp4", seconds=12)


def _record(kind: str, number: int, split: str) -> dict:
    question, listed = _QUESTIONS[kind]
    texts = [text.strip() + "." for text in listed.split(".") if text.strip()]
    order = [(number + place) % 4 for place in range(4)]  # choices are not always listed by their number
    program = [{"function": "Situations", "value_input": []}, {"function": "Actions", "value_input": ["tidy"]}]
    choices = [{"choice_id": choice, "choice": texts[choice], "choice_program": program} for choice in order]
    record = {
        "question_id": f"{kind}_{number}",
        "question": question,
        "video_id": _VIDEOS[split][number % 2],
        "start": 1.1 + number,
        "end": 4.0 + number,
        "answer": texts[(3 * number + 1) % 4],
        "question_program": program,
        "choices": choices,
        "situations": {"000206": {"rel_pairs": [["o000", "o001"]], "rel_labels": ["r002"], "bbox": [[0.5, 1.5]]}},
    }
    if split == "test":
        del record["answer"]
        record["choices"] = [{"choice_id": each["choice_id"], "choice": each["choice"]} for each in choices]
    return record
