"""What a build finds out about the bytes of an image or a clip: whether a rule drops it, and what it is known by."""

import dataclasses
import functools
import hashlib
import pickle
import uuid

from etils import epath

from data_pipelines import image_rules
from data_pipelines.clips import clip_files
from data_pipelines.containers import damage, parquet_cells
from data_pipelines.copies import decontamination
from data_pipelines.copies.decontamination import Decontamination
from data_pipelines.m3w import safety as safety_rules
from data_pipelines.m3w.safety import SafetyRules
from data_pipelines.pipeline import references
from data_pipelines.pipeline.sketch import Medium, Reference
from flamingo_jax.data.duplicates import Fingerprint, fingerprint
from flamingo_jax.data.errors import MediaError


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """About one image file.

    Attributes:
      rule: the rule that it breaks, or "".
      size: bytes.
      fingerprint: what copies of it are recognised by; None if it breaks a rule, or was not asked for.
      name: what pages are counted by: the same for all copies of a picture.
      hits: how many evaluation images it may be a copy of.
      copy: where the bytes are from now on, if they were copied because the reference is slow to follow again.
    """

    rule: str = ""
    size: int = 0
    fingerprint: Fingerprint | None = None
    name: str = ""
    hits: int = 0
    copy: Reference | None = None


@dataclasses.dataclass(frozen=True)
class Judge:
    """Reads an image once and finds out all that can be known without another one.

    Attributes:
      rules: limits of an image file.
      identify: find out what copies are recognised by, which costs as much again.
      decontamination: what counts as a copy of an evaluation image.
      evaluation: the file with the `EvaluationImages` (see `prepare`), or "".
      safety: what counts as explicit, or None.
      folder: for copies of images out of Parquet tables, whose row groups would be read again for each document; ""
        makes none.
    """

    rules: image_rules.ImageRules
    identify: bool
    decontamination: Decontamination = Decontamination()  # noqa: RUF009  frozen
    evaluation: str = ""
    safety: SafetyRules | None = None
    folder: str = ""

    def __call__(self, reference: Reference) -> Facts:
        """The facts about an image.

        Raises:
          OSError: it cannot be read, and another try may succeed.
        """
        try:
            encoded = references.read(reference, self.rules.max_bytes)
        except references.TooLargeError:
            return Facts("image_too_many_bytes")
        except (FileNotFoundError, PermissionError):
            return Facts("image_unreadable")
        except damage.ERRORS as error:
            damage.explain(error)
            return Facts("image_unreadable")
        if rule := image_rules.reason(encoded, self.rules):
            return Facts(rule)
        if self.safety is not None and (rule := safety_rules.image_reason((), encoded, self.safety)):
            return Facts(rule)
        copy = None
        if self.folder and reference.form == parquet_cells.FORM:
            copy = _keep(encoded, epath.Path(self.folder), "")
        if not self.identify and not self.evaluation:
            return Facts("", len(encoded), copy=copy)
        try:
            known = fingerprint(encoded, max_pixels=self.rules.max_pixels)
        except MediaError:  # the loader refuses a little more, such as floating-point pixels
            return Facts("image_undecodable")
        hits: tuple = ()
        if self.evaluation:
            hits = _evaluation_images(self.evaluation).match([known], self.decontamination.likeness)[0]
        rule = decontamination.image_reason(hits, self.decontamination) or ""
        return Facts(rule, len(encoded), known, known.digest.hex(), len(hits), copy)


def prepare(config: Decontamination, folder: epath.Path) -> str:
    """Reads the evaluation images once, for all workers: gives the file that `Judge.evaluation` names, or "".

    Raises:
      BuildError: they cannot be read.
    """
    if not config.evaluation:
        return ""
    with decontamination.processes() as workers:
        content = pickle.dumps(decontamination.EvaluationImages.load(config.evaluation, workers))
    # Workers that live on remember it by its path.
    path = folder / f"evaluation-{hashlib.blake2b(content, digest_size=8).hexdigest()}.pickle"
    path.write_bytes(content)
    return str(path)


@functools.lru_cache(maxsize=1)
def _evaluation_images(path: str) -> decontamination.EvaluationImages:
    return pickle.loads(epath.Path(path).read_bytes())


def encode_clip(medium: Medium, rules: clip_files.ClipRules, folder: epath.Path) -> Medium | str:
    """Cuts and encodes a clip into a file of `folder`, which is read again when the document is written.

    Returns:
      The clip as a medium of its own, or the rule that drops it.

    Raises:
      OSError: the file cannot be written.
    """
    encoded = _encoded(medium.reference, rules)
    if isinstance(encoded, str):
        return encoded
    return dataclasses.replace(medium, reference=_keep(encoded, folder, ".mp4"), size=len(encoded))


# The captions of one clip stand together in lists: it is encoded once for all.
_encoded = functools.lru_cache(maxsize=2)(clip_files.encode)


def _keep(encoded: bytes, folder: epath.Path, ending: str) -> Reference:
    """Writes a file that is called after its content, complete or not at all."""
    name = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    path = folder / name[:2] / f"{name}{ending}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(uuid.uuid4().hex)
        part.write_bytes(encoded)
        part.replace(path)
    return Reference(str(path))
