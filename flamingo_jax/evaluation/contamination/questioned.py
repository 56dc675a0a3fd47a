"""The pictures that a benchmark asks about, and their fingerprints."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import tqdm

from flamingo_jax.config import ConfigError
from flamingo_jax.data.duplicates import Fingerprint, FingerprintIndex, fingerprint
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.contamination.stills import still_of
from flamingo_jax.evaluation.contamination.workers import Workers

_CHUNK = 32


@dataclasses.dataclass(frozen=True)
class Questioned:
    """The pictures that are looked for, each once, however many items ask about it.

    Attributes:
      items: split -> its items.
      media: the pictures and clips that can be read.
      unreadable: those that cannot be decoded or read.
      fingerprints: of `media`, in the same order.
    """

    items: Mapping[str, Sequence[Item]]
    media: Sequence[MediaFile]
    unreadable: Sequence[MediaFile]
    fingerprints: Sequence[Fingerprint]

    def index(self) -> FingerprintIndex:
        """For finding them."""
        return FingerprintIndex(self.fingerprints)

    def askers(self) -> list[list[tuple[str, str]]]:
        """For each of `media`, the (split, key) of the items that ask about it."""
        places = {medium: place for place, medium in enumerate(self.media)}
        found: list[list[tuple[str, str]]] = [[] for _ in self.media]
        for split, items in self.items.items():
            for item in items:
                if item.medium in places:
                    found[places[item.medium]].append((split, item.key))
        return found


def fingerprinted(items: Mapping[str, Sequence[Item]], processes: int) -> Questioned:
    """Decodes the pictures and the clips' first frames, in parallel.

    Raises:
      ConfigError: none can be read.
    """
    media = list(dict.fromkeys(item.medium for some in items.values() for item in some))
    chunks = [media[start : start + _CHUNK] for start in range(0, len(media), _CHUNK)]
    known: list[tuple[MediaFile, Fingerprint]] = []
    unreadable: list[MediaFile] = []
    with (
        Workers(processes) as workers,
        tqdm.tqdm(total=len(media), desc="benchmark", unit=" pictures", disable=None) as bar,
    ):
        for chunk, prints in zip(chunks, workers.map(_fingerprints, chunks), strict=True):
            for medium, print_ in zip(chunk, prints, strict=True):
                if print_ is None:
                    unreadable.append(medium)
                else:
                    known.append((medium, print_))
            bar.update(len(chunk))
    if not known:
        first = f", such as {media[0].path}" if media else ""
        raise ConfigError(f"none of the benchmark's {len(media):,} pictures and clips can be read{first}")
    return Questioned(items, [medium for medium, _ in known], unreadable, [print_ for _, print_ in known])


def _fingerprints(media: Iterable[MediaFile]) -> list[Fingerprint | None]:
    return [_fingerprint(medium) for medium in media]


def _fingerprint(medium: MediaFile) -> Fingerprint | None:
    try:
        return fingerprint(still_of(medium.load()))
    except (MediaError, OSError):
        return None
