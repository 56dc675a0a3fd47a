"""Karpathy's splits of COCO and Flickr30k: which picture is of which split, and the captions of each."""

from collections.abc import Callable, Sequence

from etils import epath

from flamingo_jax.evaluation.benchmarks import templates
from flamingo_jax.evaluation.benchmarks.annotation_files import field, read_json
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile


def read_karpathy(
    path: epath.Path, splits: Sequence[str], image: Callable[[dict, str], str], key: tuple[str, type]
) -> list[Item]:
    """The pictures of some splits of a file of Karpathy's splits, with their reference captions.

    The answer that an example shows is the first caption, its white space made single spaces. The references stay as
    they are in the file.

    Args:
      path: of the file, such as dataset_coco.json.
      splits: names of the file's own splits.
      image: (record, its name in messages) -> path of its picture.
      key: name and kind of the record's number.

    Raises:
      ConfigError: the file is damaged or of another release.
    """
    content = read_json(path, keep=_without_tokens)
    items = []
    for place, record in enumerate(field(content, "images", list, path, "the whole file")):
        if field(record, "split", str, path, place) not in splits:
            continue
        number = field(record, *key, path, place)
        where = f"image {number}"
        captions = tuple(field(one, "raw", str, path, where) for one in field(record, "sentences", list, path, where))
        items.append(
            Item(
                key=str(number),
                medium=MediaFile(image(record, where)),
                prompt=templates.CAPTION,
                answer=" ".join(captions[0].split()) if captions else "",
                references=captions,
            )
        )
    return items


def _without_tokens(record: dict) -> dict:
    """Drops the captions' words, which are most of the file."""
    record.pop("tokens", None)
    return record
