"""VizWiz-VQA, small: 8 questions of train, 6 of val, 6 of test."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape


def write(folder: Path) -> None:
    """Writes Annotations and the pictures of each split."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for split, count in {"train": 8, "val": 6, "test": 6}.items():
        records = [_record(split, number) for number in range(count)]
        for number, record in enumerate(records):
            draw(folder / split / record["image"], number)
        (folder / "Annotations" / f"{split}.json").write_text(json.dumps(records), encoding="utf-8")


def _record(split: str, number: int) -> dict:
    record = {
        "image": f"VizWiz_{split}_{number:08d}.jpg",
        "question": ("What is this?", f"Ok. Can you tell me   the color of this {shape(number)}? Thank you.")[
            number % 2
        ],
    }
    if split == "test":
        return record
    answerable = number % 3 != 2
    texts = [colour(number)] * 4 + [f"{colour(number)} {shape(number)}"] * 3 + ["unanswerable"] * 3
    if not answerable:
        texts = ["unanswerable"] * 6 + ["unsuitable"] * 3 + [shape(number)]
    sure = ("yes", "maybe", "no")
    return {
        "answerable": int(answerable),
        **record,
        "answer_type": "other" if answerable else "unanswerable",
        "answers": [{"answer": text, "answer_confidence": sure[turn % 3]} for turn, text in enumerate(texts)],
    }
