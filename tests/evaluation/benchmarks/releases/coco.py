"""COCO captions on Karpathy's splits, small: 8 pictures of train, 2 of restval, 2 of val, 6 of test."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape


def write(folder: Path) -> None:
    """Writes dataset_coco.json and its pictures in train2014 and val2014."""
    counts = {"test": 6, "restval": 2, "val": 2, "train": 8}  # the real file mixes them, too
    splits = [split for split, count in counts.items() for _ in range(count)]
    images = []
    for number, split in enumerate(splits):
        place = "train2014" if split == "train" else "val2014"
        cocoid = 391895 - 17 * number  # no relation to the place in the file
        name = f"COCO_{place}_{cocoid:012d}.jpg"
        draw(folder / place / name, number, "L" if number == 2 else "RGB")
        images.append(
            {
                "filepath": place,
                "sentids": list(range(770337 + 5 * number, 770342 + 5 * number)),
                "filename": name,
                "imgid": number,
                "split": split,
                "sentences": [_sentence(number, turn) for turn in range(6 if number == 1 else 5)],
                "cocoid": cocoid,
            }
        )
    (folder / "dataset_coco.json").write_text(json.dumps({"images": images, "dataset": "coco"}), encoding="utf-8")


def _sentence(number: int, turn: int) -> dict:
    """A caption as in the release: some end in spaces or line ends, some have double spaces or no period."""
    raw = (
        f"A {colour(number)} {shape(number)} on a grey background. ",
        f"a  {colour(number)} {shape(number)}, seen from the front",
        f"There is a {shape(number)} here.\n",
        f'The {shape(number)} is {colour(number)}; it isn\'t "large".',
        f"A picture of one {colour(number)} {shape(number)}.",
        "Something in front of something grey.",
    )[turn]
    words = raw.lower().replace(".", "").replace(",", "").split()
    return {"tokens": words, "raw": raw, "imgid": number, "sentid": 770337 + 5 * number + turn}
