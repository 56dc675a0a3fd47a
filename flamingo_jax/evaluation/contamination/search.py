"""Goes through corpora and finds the pictures of a benchmark in them."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence

import tqdm

from flamingo_jax.data.document import Document, Video
from flamingo_jax.data.duplicates import (
    CANDIDATES,
    MAY_BE_EXACT,
    Fingerprint,
    FingerprintIndex,
    Likeness,
    fingerprint,
    is_exact,
)
from flamingo_jax.data.errors import MediaError, RecordError
from flamingo_jax.data.sources import Source
from flamingo_jax.evaluation.benchmarks.benchmark import MediaFile
from flamingo_jax.evaluation.contamination.questioned import Questioned
from flamingo_jax.evaluation.contamination.stills import still_of
from flamingo_jax.evaluation.contamination.workers import Workers

_DOCUMENTS = 8  # that a process takes at a time: Ctrl-C waits for them; in memory are the media of one


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """A picture of a corpus and one of the benchmark that it may be a copy of.

    Attributes:
      corpus: place of the corpus.
      record: place of the document in it.
      document: the document's key.
      number: which of the document's images and clips, counted from 0.
      clip: whether it is a clip.
      source: where the document says that it came from.
      medium: place of the benchmark's picture in `Questioned.media`.
      distance: in bits of the hash.
      exact: the same bytes or the same pixels.
    """

    corpus: int
    record: int
    document: str
    number: int
    clip: bool
    source: str
    medium: int
    distance: int
    exact: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """What was found in a few documents of a corpus; the counts are of what was looked at."""

    corpus: int
    documents: int
    damaged: int
    images: int
    clips: int
    undecodable: int
    hits: Sequence[Hit]


@dataclasses.dataclass(frozen=True)
class _Task:
    """What each process has: the corpora, what is looked for, and how alike it is to be."""

    corpora: Sequence[Source]
    index: FingerprintIndex
    media: Sequence[MediaFile]
    likeness: Likeness


_task: _Task | None = None  # of this process


def search(
    corpora: Sequence[Source], questioned: Questioned, processes: int, likeness: Likeness = CANDIDATES
) -> Iterator[Part]:
    """Goes through all documents, in order; memory does not grow with the corpora.

    Args:
      corpora: that can be sent to other processes, as `TfdsSource` can.
      questioned: what is looked for; each process holds a copy, 0.3 kB a picture.
      processes: that decode, some 4 ms an image.
      likeness: what counts as a candidate. The default also finds slight crops.

    Raises:
      SourceError: a corpus cannot be read.
      ConfigError: a process was killed.
    """
    chunks = (
        (corpus, range(start, min(start + _DOCUMENTS, len(source))))
        for corpus, source in enumerate(corpora)
        for start in range(0, len(source), _DOCUMENTS)
    )
    task = _Task(corpora, questioned.index(), questioned.media, likeness)
    total, found = sum(map(len, corpora)), 0
    with (
        Workers(processes, _take, task) as workers,
        tqdm.tqdm(total=total, desc="corpus", unit=" documents", disable=None) as bar,
    ):
        for part in workers.map(_search_part, chunks):
            found += len({(hit.record, hit.number) for hit in part.hits})
            bar.update(part.documents)
            bar.set_postfix_str(f"{found:,} candidates", refresh=False)
            yield part


def _take(task: _Task) -> None:
    global _task
    _task = task


def _search_part(chunk: tuple[int, range]) -> Part:
    assert _task is not None
    corpus, records = chunk
    source = _task.corpora[corpus]
    damaged = undecodable = 0
    counts = {False: 0, True: 0}
    places: list[tuple[int, str, int, bool, str]] = []
    prints: list[Fingerprint] = []
    for record in records:
        try:
            document = source[record]
        except RecordError:
            damaged += 1
            continue
        for number, medium in enumerate(document.media):
            clip = isinstance(medium, Video)
            counts[clip] += 1
            try:
                prints.append(fingerprint(still_of(medium)))
            except MediaError:
                undecodable += 1
                continue
            places.append((record, document.key, number, clip, medium.source))
    found = _task.index.near(prints, _task.likeness) if prints else ()
    again = functools.lru_cache(maxsize=1)(source.__getitem__)  # hits of one document come after one another
    hits = []
    for query, medium, distance in zip(*(column.tolist() for column in found), strict=True):
        record, _, number, _, _ = places[query]
        exact = distance <= MAY_BE_EXACT and _exact(again, record, number, _task.media[medium])
        hits.append(Hit(corpus, *places[query], medium, distance, exact))
    return Part(corpus, len(records), damaged, counts[False], counts[True], undecodable, hits)


def _exact(read: Callable[[int], Document], record: int, number: int, medium: MediaFile) -> bool:
    try:
        return is_exact(still_of(read(record).media[number]), still_of(medium.load()))
    except (RecordError, OSError):
        return False  # though both could be read a moment ago
