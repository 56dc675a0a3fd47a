"""The pictures of ILSVRC 2012: in a folder for each class, or those of val in one folder with a file of labels."""

import re
from collections.abc import Mapping

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.imagenet_files import CLASSES, TRAIN, VAL, val_classes, val_labels
from flamingo_jax.evaluation.benchmarks.release import locate

_ENDING = ".JPEG"


def pictures(folder: epath.Path, split: str, labels: Mapping[str, int]) -> list[tuple[str, int]]:
    """Path and label of each picture of the split.

    Args:
      folder: of the release.
      split: "train" or "val".
      labels: WordNet id -> label of the class.

    Raises:
      ConfigError: pictures are unpacked or moved in part, or the file of labels is not whole.
    """
    images = locate(folder, TRAIN if split == "train" else VAL)
    entries = sorted(entry.name for entry in images.iterdir())
    in_folders, flat = _class_folders(images, entries, labels), [name for name in entries if name.endswith(_ENDING)]
    if split == "val" and not in_folders:
        return _labelled(folder, images, flat, labels)
    _check_unpacked(images, split, in_folders, flat, labels)
    found = [
        (f"{images}/{wnid}/{name}", label) for wnid, label in labels.items() for name in _pictures_of(images / wnid)
    ]
    if split == "val" and (table := val_labels(folder)):
        path, count = table
        if count != len(found):
            raise ConfigError(
                f"{images} has {len(found):,} pictures in folders of classes, and {path} {count:,} labels. "
                "Are all pictures moved, and is the file whole?"
            )
    return found


def _labelled(
    folder: epath.Path, images: epath.Path, flat: list[str], labels: Mapping[str, int]
) -> list[tuple[str, int]]:
    """Those that the file of labels names; one that is not there is missed when the media are looked at."""
    path, classes = val_classes(folder, labels)
    if unknown := sorted({name.removesuffix(_ENDING) for name in flat} - {name for name, _ in classes}):
        raise ConfigError(
            f"{path} has {len(classes):,} labels, and {images} {len(flat):,} pictures, of which {len(unknown):,} have "
            f"none, such as {unknown[0]}{_ENDING}. Was the file's download or unpacking cut short?"
        )
    return [(f"{images}/{name}{_ENDING}", labels[wnid]) for name, wnid in classes]


def _check_unpacked(
    images: epath.Path, split: str, in_folders: set[str], flat: list[str], labels: Mapping[str, int]
) -> None:
    """Checks that there is a folder for each class, and no picture beside them.

    Raises:
      ConfigError: a folder is not there, or pictures are left to move.
    """
    if absent := [wnid for wnid in labels if wnid not in in_folders]:
        advice = "Unpack each n*.tar into a folder of its name." if split == "train" else "Are all pictures moved?"
        raise ConfigError(
            f"{images} has no folder for {len(absent)} of {len(labels)} classes, such as {absent[0]}. {advice}"
        )
    if flat:
        raise ConfigError(
            f"{images} has {len(flat):,} pictures beside its folders of classes, such as {flat[0]}. "
            "Was moving them stopped? Move each into the folder of its class."
        )


def _pictures_of(of_class: epath.Path) -> list[str]:
    if found := sorted(entry.name for entry in of_class.iterdir() if entry.name.endswith(_ENDING)):
        return found
    raise ConfigError(f"{of_class} has no picture *{_ENDING}. Was its unpacking or moving cut short?")


def _class_folders(images: epath.Path, entries: list[str], labels: Mapping[str, int]) -> set[str]:
    """The folders of classes that are there.

    Raises:
      ConfigError: one is of a class that has no name, as with a truncated list of names.
    """
    found = {name for name in entries if re.fullmatch(r"n\d{8}", name)}
    if unknown := sorted(found - labels.keys()):
        raise ConfigError(
            f"{images} has folders of {len(unknown)} classes that the release's list of {len(labels)} classes does not "
            f"name, such as {unknown[0]}. Is {CLASSES.path} (or meta.mat) whole?"
        )
    return found
