"""TextVQA 0.5.1, small: 8 questions of train, 6 of val, 6 of test."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape


def write(folder: Path) -> None:
    """Writes the files of questions and the pictures; those of val are in train_images, as in the release."""
    folder.mkdir(parents=True, exist_ok=True)
    first = 0
    for split, count in {"train": 8, "val": 6, "test": 6}.items():
        records = [_record(folder, split, first + place) for place in range(count)]
        content = {"dataset_type": split, "dataset_name": "textvqa", "dataset_version": "0.5.1", "data": records}
        (folder / f"TextVQA_0.5.1_{split}.json").write_text(json.dumps(content), encoding="utf-8")
        first += count


def _record(folder: Path, split: str, number: int) -> dict:
    image_id = f"{0x0054C91397F2FE05 + 4096 * (number // 2):016x}"
    images = "test_images" if split == "test" else "train_images"
    draw(folder / images / f"{image_id}.jpg", number // 2)
    asked = f"what is written on the {colour(number // 2)} {shape(number // 2)}?"
    record = {
        "question": asked,
        "image_id": image_id,
        "image_classes": ["Shape", "Poster"],
        "flickr_original_url": f"https://example.org/{image_id}_o.jpg",
        "flickr_300k_url": f"https://example.org/{image_id}_z.jpg",
        "image_width": 64,
        "image_height": 48,
        "question_tokens": asked.rstrip("?").split(),
        "question_id": number,
        "set_name": split,
    }
    if split != "test":
        record["answers"] = ["nokia", *["Nokia 3310"] * 5, "answering does not require reading text in the image"]
        record["answers"] += ["nokia"] * 3
    return record
