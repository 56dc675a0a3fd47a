"""The classes of ILSVRC 2012: their names, and those of the pictures of val, from either edition of the release.

The challenge's own site has the development kit (meta.mat and the validation ground truth); Kaggle's "ImageNet Object
Localization Challenge" has the same names and labels as LOC_synset_mapping.txt and LOC_val_solution.csv.
"""

from collections.abc import Container

import scipy.io
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.annotation_files import read_csv, read_text
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, locate, require

_TITLE = "ImageNet-1k"
_KIT = "ILSVRC2012_devkit_t12/data/"
_KIT_ARCHIVE = "ILSVRC2012_devkit_t12.tar.gz"
_KAGGLE = "ILSVRC/Data/CLS-LOC/"

CLASSES = ReleaseFile(
    "LOC_synset_mapping.txt",
    "the names of the classes, of Kaggle's ImageNet Object Localization Challenge; or meta.mat of "
    "ILSVRC2012_devkit_t12.tar.gz of image-net.org",
    alternatives=(f"{_KIT}meta.mat", "meta.mat"),
    archive=_KIT_ARCHIVE,
)
TRAIN = ReleaseFile(
    "train/",
    "folders n*/ of pictures: ILSVRC2012_img_train.tar of image-net.org with each tar in it unpacked into a folder of "
    "its name",
    alternatives=(f"{_KAGGLE}train/",),
    archive="ILSVRC2012_img_train.tar",
)
VAL = ReleaseFile(
    "val/",
    "50,000 pictures: ILSVRC2012_img_val.tar of image-net.org, as it unpacks or moved into folders n*/",
    alternatives=(f"{_KAGGLE}val/",),
    archive="ILSVRC2012_img_val.tar",
)
_TRUTH = ReleaseFile(
    "ILSVRC2012_validation_ground_truth.txt",
    "the labels of val, of ILSVRC2012_devkit_t12.tar.gz of image-net.org",
    alternatives=(f"{_KIT}ILSVRC2012_validation_ground_truth.txt",),
    archive=_KIT_ARCHIVE,
)
_META = ReleaseFile(
    "meta.mat",
    "the classes' numbers, of ILSVRC2012_devkit_t12.tar.gz of image-net.org",
    alternatives=(f"{_KIT}meta.mat",),
    archive=_KIT_ARCHIVE,
)
_SOLUTION = "LOC_val_solution.csv"


def class_names(folder: epath.Path) -> dict[str, str]:
    """WordNet id -> the class's names, parted by ", ", in the order of the ids.

    Raises:
      ConfigError: the file is damaged.
    """
    path = locate(folder, CLASSES)
    if path.name == "meta.mat":
        return dict(sorted((wnid, names) for wnid, names in _read_meta(path).values()))
    classes = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        wnid, _, names = line.strip().partition(" ")
        if not names:
            raise ConfigError(f"{path}, line {number} has no WordNet id with a name. Is it the release's own file?")
        classes[wnid] = names
    return dict(sorted(classes.items()))


def val_labels(folder: epath.Path) -> tuple[epath.Path, int] | None:
    """The file with the labels of val and how many it has; None: there is none.

    Raises:
      ConfigError: it is damaged.
    """
    if (folder / _SOLUTION).is_file():
        return folder / _SOLUTION, len(_read_solution(folder / _SOLUTION))
    path = locate(folder, _TRUTH)
    return (path, len(read_text(path).split())) if path.is_file() else None


def val_classes(folder: epath.Path, known: Container[str]) -> tuple[epath.Path, list[tuple[str, str]]]:
    """The file with the labels of val, and name (without .JPEG) and WordNet id of each picture in it.

    Raises:
      ConfigError: no file has the labels, or it is damaged.
    """
    if (folder / _SOLUTION).is_file():
        path = folder / _SOLUTION
        labels = _read_solution(path)
    else:
        require(folder, (_TRUTH, _META), f"{_TITLE}, whose val has no folder for each class,")
        path = locate(folder, _TRUTH)
        meta = _read_meta(locate(folder, _META))
        labels = []
        for number, line in enumerate(read_text(path).split(), 1):
            wnid = meta[int(line)][0] if line.isdigit() and int(line) in meta else line
            labels.append((f"ILSVRC2012_val_{number:08d}", wnid))
    for name, wnid in labels:
        if wnid not in known:
            raise ConfigError(f"{path}: {name} is of {wnid!r}, which is none of the classes. Is the file whole?")
    return path, labels


def _read_solution(path: epath.Path) -> list[tuple[str, str]]:
    rows = read_csv(path, ("ImageId", "PredictionString"))
    # "n01978287 85 1 499 272 n01978287 ...": a class and its box, for each object of the picture's one class.
    return sorted((row["ImageId"], row["PredictionString"].partition(" ")[0]) for row in rows)


def _read_meta(path: epath.Path) -> dict[int, tuple[str, str]]:
    """ILSVRC2012_ID -> WordNet id and names of each class; the file has the synsets above the classes, too.

    Raises:
      ConfigError: the file is damaged.
    """
    try:
        with path.open("rb") as file:
            synsets = scipy.io.loadmat(file, squeeze_me=True)["synsets"]
        return {
            int(synset["ILSVRC2012_ID"]): (str(synset["WNID"]), str(synset["words"]))
            for synset in synsets.reshape(-1)
            if int(synset["num_children"]) == 0
        }
    except Exception as error:  # a damaged file ends in whatever the parser meets first
        raise ConfigError(f"{path} cannot be read as the development kit's meta.mat: {error}") from error
