"""Samples as WebDataset has them: neighbouring files of one name with different endings are one thing.

`000012.jpg`, `000012.json` and `000012.txt` are the sample `000012` with the endings `jpg`, `json` and `txt`. Its name
ends at the first dot of the last component: `a/b.left.png` has the ending `left.png`. (`base_plus_ext` and
`group_by_keys` of github.com/webdataset/webdataset.)
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator

from data_pipelines.pipeline.sketch import Reference

_ABOUT_THE_SHARD = re.compile(r"__[^/]*__($|/)")  # WebDataset's convention for members that are no samples


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A file of a tar or a folder.

    Attributes:
      name: within the tar or folder, with forward slashes.
      reference: where its bytes are.
      length: how many.
      rule: "" or why it cannot be read.
    """

    name: str
    reference: Reference
    length: int
    rule: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """Files by their endings in lower case, in their order; `name` is what they share.

    `whole` is False if a file may be missing: it could not be read, or the shard is cut here.
    """

    name: str
    files: dict[str, File]
    whole: bool = True


def split(name: str) -> tuple[str, str]:
    """(name of the sample, ending in lower case); the ending is "" for what belongs to no sample.

    That are files without a dot, hidden ones, and those about the shard, in folders such as `__index__/`.
    """
    folder, slash, file = name.removeprefix("./").rpartition("/")
    base, dot, ending = file.partition(".")
    if not (base and dot) or _ABOUT_THE_SHARD.match(name):
        return name, ""
    return f"{folder}{slash}{base}", ending.lower()


def group(files: Iterable[File]) -> Iterator[Sample | File]:
    """The samples that neighbouring files make, and the files with a rule, as they come.

    A file whose ending the sample has already begins another sample of the same name. If `files` raises, the sample at
    hand is given first, as one that is not whole.
    """
    name, found, whole, lost = "", {}, True, ""
    try:
        for file in files:
            base, ending = split(file.name)
            if file.rule:
                lost = base
                whole = whole and base != name
                yield file
            elif ending:
                if found and (base != name or ending in found):
                    yield Sample(name, found, whole)
                    found = {}
                if not found:
                    name, whole = base, base != lost
                found[ending] = file
    except Exception:
        if found:
            yield Sample(name, found, whole=False)
        raise
    if found:
        yield Sample(name, found, whole)
