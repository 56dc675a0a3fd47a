"""The pictures of COCO, which four of the benchmarks ask about."""

from etils import epath

from flamingo_jax.evaluation.benchmarks.release import ReleaseFile


def _images(name: str, count: str) -> ReleaseFile:
    return ReleaseFile(f"{name}/", f"{count} pictures: {name}.zip of cocodataset.org's downloads")


TRAIN = _images("train2014", "82,783")
VAL = _images("val2014", "40,504")
TEST = _images("test2015", "81,434")


def picture(folder: epath.Path, images: ReleaseFile, image_id: int) -> str:
    """Path of a picture, such as train2014/COCO_train2014_000000458752.jpg."""
    name = images.path.rstrip("/")
    return f"{folder}/{name}/COCO_{name}_{image_id:012d}.jpg"
