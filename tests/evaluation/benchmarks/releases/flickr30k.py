"""Flickr30k on Karpathy's splits, small: 8 pictures of train, 2 of val, 6 of test."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape


def write(folder: Path) -> None:
    """Writes dataset_flickr30k.json and flickr30k-images."""
    splits = ["train"] * 5 + ["test"] * 6 + ["val"] * 2 + ["train"] * 3
    images = []
    for number, split in enumerate(splits):
        name = f"{1000092795 + 31 * number}.jpg"
        draw(folder / "flickr30k-images" / name, number)
        captions = (
            f"Two young guys with a {colour(number)} {shape(number)} look at their hands while hanging out .",
            f"A {shape(number)}",
            f"A {colour(number)} {shape(number)} is standing outside .",
            f"A {colour(number)} {shape(number)} is standing outside .",  # the release has captions twice
            f"Friends enjoy time spent with the {shape(number)} .",
        )
        sentences = [
            {"tokens": raw.lower().split(), "raw": raw, "imgid": number, "sentid": 5 * number + turn}
            for turn, raw in enumerate(captions)
        ]
        images.append(
            {
                "sentids": [sentence["sentid"] for sentence in sentences],
                "imgid": number,
                "sentences": sentences,
                "split": split,
                "filename": name,
            }
        )
    content = {"images": images, "dataset": "flickr30k"}
    (folder / "dataset_flickr30k.json").write_text(json.dumps(content), encoding="utf-8")
