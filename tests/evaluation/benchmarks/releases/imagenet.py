"""ImageNet-1k, small: 5 classes with 4 pictures of train and 2 of val each, in the layouts that people have."""

import shutil
from pathlib import Path

import numpy as np
import scipy.io

from tests.evaluation.benchmarks.releases.drawing import draw

CLASSES = {
    "n01440764": "tench, Tinca tinca",
    "n02012849": "crane",
    "n02113186": "Cardigan, Cardigan Welsh corgi",
    "n02963159": "cardigan",
    "n03126707": "crane",
}
"""Names as the release has them; two begin alike, two are alike."""

VAL = ["n02963159", "n01440764", "n03126707", "n02012849", "n02113186"] * 2
"""The classes of the pictures of val, in the order of their numbers."""

_NUMBERS = {wnid: place + 1 for place, wnid in enumerate(reversed(CLASSES))}
"""The development kit numbers the classes in an order of its own."""


def write(folder: Path) -> None:
    """Writes train, val as it unpacks, and LOC_synset_mapping.txt with LOC_val_solution.csv."""
    for place, wnid in enumerate(CLASSES):
        for number in range(4):
            # The release has 22 CMYK pictures and a PNG file among its JPEGs.
            mode, kind = (
                ("CMYK", "JPEG") if (place, number) == (0, 1) else ("RGB", "PNG" if (place, number) == (2, 0) else "")
            )
            draw(folder / "train" / wnid / f"{wnid}_{10026 + 7 * number}.JPEG", 5 * number + place, mode, kind)
    for number in range(len(VAL)):
        draw(folder / "val" / f"ILSVRC2012_val_{number + 1:08d}.JPEG", number)
    mapping = "".join(f"{wnid} {names}\n" for wnid, names in CLASSES.items())
    (folder / "LOC_synset_mapping.txt").write_text(mapping, encoding="utf-8")
    rows = [f"ILSVRC2012_val_{number:08d},{wnid} 0 1 60 47 \n" for number, wnid in enumerate(VAL, 1)]
    rows.reverse()  # the order is not that of the numbers
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(rows), encoding="utf-8")


def move_into_class_folders(folder: Path) -> None:
    """Moves the pictures of val into a folder for each class, and drops their labels."""
    for number, wnid in enumerate(VAL, 1):
        target = folder / "val" / wnid
        target.mkdir(exist_ok=True)
        name = f"ILSVRC2012_val_{number:08d}.JPEG"
        shutil.move(folder / "val" / name, target / name)
    (folder / "LOC_val_solution.csv").unlink()


def take_development_kit(folder: Path) -> None:
    """Puts ILSVRC2012_devkit_t12 in the place of the files of the other edition."""
    (folder / "LOC_synset_mapping.txt").unlink()
    (folder / "LOC_val_solution.csv").unlink()
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    fields = (
        "ILSVRC2012_ID",
        "WNID",
        "words",
        "gloss",
        "num_children",
        "children",
        "wordnet_height",
        "num_train_images",
    )
    rows = [(number, wnid, CLASSES[wnid], "what it is", 0, [], 0, 4) for wnid, number in _NUMBERS.items()]
    rows.append((6, "n00001740", "entity", "what there is", 2, [1, 2], 3, 0))  # a synset above classes
    synsets = np.array(rows, dtype=[(name, object) for name in fields]).reshape(-1, 1)
    scipy.io.savemat(data / "meta.mat", {"synsets": synsets})
    truth = "".join(f"{_NUMBERS[wnid]}\n" for wnid in VAL)
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(truth, encoding="utf-8")
