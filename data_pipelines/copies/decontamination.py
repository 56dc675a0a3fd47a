"""Decontamination: which pictures of a corpus are those that a model will be evaluated on.

Flamingo's corpora were checked against the evaluation images and not cleaned of them: of 185 million images 1,314 were
candidates, 125 of them exact copies (Alayrac et al. 2022, appendix A.3.4). Here a hit is reported, or the picture or
its page is dropped; a configuration says which.
"""

import dataclasses
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from typing import Literal

from etils import epath

from data_pipelines import progress
from data_pipelines.containers import shard_lists, tar_index
from data_pipelines.containers.damage import Damaged
from data_pipelines.output import BuildError
from data_pipelines.pipeline import references
from data_pipelines.pipeline.sketch import FILE, SPAN, Reference
from flamingo_jax.data.duplicates import CANDIDATES, Fingerprint, FingerprintIndex, Likeness, fingerprint

REPORT, DROP_IMAGE, DROP_PAGE = "report", "drop_image", "drop_page"
_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif")
_CHUNK = 64


@dataclasses.dataclass(frozen=True)
class Decontamination:
    """Against which images a corpus is checked, and what becomes of a hit.

    Attributes:
      evaluation: folders or uncompressed tars with the evaluation's images; none checks nothing.
      likeness: what counts as a hit. The default also finds crops and takes some merely similar drawings.
      action: "report" only says so, "drop_image" drops the picture, "drop_page" the page that it stands on.
    """

    evaluation: tuple[str, ...] = ()
    likeness: Likeness = CANDIDATES
    action: Literal["report", "drop_image", "drop_page"] = REPORT

    def __post_init__(self):
        if self.action not in (REPORT, DROP_IMAGE, DROP_PAGE):
            raise ValueError(
                f"Decontamination.action must be {REPORT}, {DROP_IMAGE} or {DROP_PAGE}, got {self.action!r}"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluationImage:
    """An image of an evaluation: `name` is its path from the folder that was named, with that folder's name."""

    name: str
    reference: Reference
    fingerprint: Fingerprint


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """An evaluation image that a picture may be a copy of; `distance` in bits of the hash."""

    image: EvaluationImage
    distance: int


def processes(count: int | None = None) -> ProcessPoolExecutor:
    """Workers that decode images, by default one for each core. A fork of a process with threads, as TFDS and Beam
    have, may hang: they are spawned."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))


class EvaluationImages:
    """The images of all evaluations, to be matched against. 0.7 kB each; may be sent to other processes."""

    def __init__(self, images: Sequence[EvaluationImage], unreadable: Sequence[str] = ()):
        """
        Args:
          images: at least one.
          unreadable: the names of files that are no images after all.
        """
        self.images = tuple(images)
        self.unreadable = tuple(unreadable)
        self._index = FingerprintIndex([image.fingerprint for image in self.images])

    @classmethod
    def load(cls, roots: Sequence[str], workers: Executor | None = None) -> "EvaluationImages":
        """Reads every image below the folders and in the tars; annotations and other files are passed over.

        Args:
          roots: folders (with tars or images at any depth, as COCO and ImageNet come), tars, single images or globs.
          workers: decode there, 4 ms an image; None decodes here.

        Raises:
          BuildError: a root does not exist or has no image that can be read, or a tar is damaged or compressed.
        """
        listed = [found for root in roots for found in _list(root)]
        run = map if workers is None else lambda *call: workers.map(*call, chunksize=_CHUNK)
        made = run(_fingerprint, [reference for _, reference in listed])
        images, unreadable = [], []
        for (name, reference), print_ in zip(progress.bar(listed, "evaluation", "images"), made, strict=True):
            if print_ is None:
                unreadable.append(name)
            else:
                images.append(EvaluationImage(name, reference, print_))
        if not images:
            raise BuildError(f"none of the {len(unreadable)} evaluation images in {', '.join(roots)} can be read")
        return cls(images, unreadable)

    def __len__(self) -> int:
        return len(self.images)

    def match(self, pictures: Sequence[Fingerprint], likeness: Likeness = CANDIDATES) -> list[tuple[Hit, ...]]:
        """The hits of each picture, the nearest first."""
        found = self._index.near(pictures, likeness)
        hits: list[list[Hit]] = [[] for _ in pictures]
        for query, index, bits in zip(*(column.tolist() for column in found), strict=True):
            hits[query].append(Hit(self.images[index], bits))
        return [tuple(of_picture) for of_picture in hits]


def image_reason(hits: Sequence[Hit], config: Decontamination) -> str | None:
    """The rule that drops a picture with these hits, or None."""
    return "image_in_evaluation" if hits and config.action == DROP_IMAGE else None


def page_reason(has_hit: bool, config: Decontamination) -> str | None:
    """The rule that drops a page of which a picture has a hit, or None."""
    return "page_with_evaluation_image" if config.action == DROP_PAGE and has_hit else None


def _list(root: str) -> Iterator[tuple[str, Reference]]:
    try:
        shard_lists.refuse_compressed_tars(root)
        base, names = shard_lists.files(root)
    except BuildError as error:
        raise BuildError(str(error).replace("--input", "the evaluation's folder")) from None
    count = 0
    for name in names:
        path = epath.Path(base) / name
        if name.lower().endswith(_IMAGES):
            count += 1
            yield _named(base, name), Reference(str(path), FILE)
        elif name.lower().endswith(".tar"):
            for member in _members(path):
                count += 1
                yield _named(base, f"{name}/{member.name}"), Reference(str(path), SPAN, member.offset, member.length)
    if not count:
        raise BuildError(f"{root} has no image: no file there, or in a tar there, ends in {', '.join(_IMAGES)}")


def _named(base: str, name: str) -> str:
    full = f"{epath.Path(base).name}/{name}"
    return full.encode(errors="backslashreplace").decode()  # names of files need not be text


def _members(path: epath.Path) -> list[tar_index.Member]:
    try:
        with path.open("rb") as file:
            found = list(tar_index.members(file))
    except Damaged as error:
        # A corpus can do without a shard; an evaluation whose images are not all known is not checked.
        raise BuildError(f"the evaluation images of {path} cannot be read: {error}") from None
    return [member for member in found if not member.rule and member.name.lower().endswith(_IMAGES)]


def _fingerprint(reference: Reference) -> Fingerprint | None:
    try:
        return fingerprint(references.read(reference))
    except ValueError:  # undecodable; what the file system refuses ends the check
        return None
