"""Pages with nearly the same text: MinHash signatures of their runs of five words, and the buckets where copies meet.

The scheme: of the pages in a bucket, the one with the smallest key is kept, and another page is dropped when it is
similar to the smallest of any of its buckets. So each page is compared with a few others, and every machine finds the
same. Pages with the same words are found by `digest`, at less cost.

Runs of words are those of OBELICS (Laurençon et al. 2023, appendix A.1.4: 5-grams); white space, punctuation and case
do not count. Languages that write without spaces have few words in this sense: their pages are found only when whole
clauses agree.
"""

import dataclasses
import functools
import hashlib
import re
import zlib

import datasketch
import numpy as np

_WORD = re.compile(r"\w+")
_SCHEME = "affine32"
_BATCH = 256  # shingles hashed at once: the products of 128 permutations then stay in a core's cache


@dataclasses.dataclass(frozen=True)
class PageDuplicates:
    """When two pages count as one.

    Two pages whose sets of shingles have the Jaccard similarity s share a bucket with the probability
    1 - (1 - s^rows)^bands. With 16 bands of 8 rows:

        s            0.5    0.6    0.7    0.75   0.8    0.85   0.9    0.95
        probability  0.061  0.237  0.613  0.815  0.947  0.994  1.000  1.000

    Whether they are then taken for one is decided by the estimate of s from all rows of all bands, 128 here, whose
    standard error is sqrt(s (1 - s) / 128): 0.035 at 0.8.

    Attributes:
      words: of a shingle.
      bands: buckets of a page.
      rows: hash values that must agree in a bucket; bands * rows is the number of permutations.
      min_similarity: the estimated Jaccard similarity from which a page is dropped.
      seed: of the permutations.
    """

    words: int = 5
    bands: int = 16
    rows: int = 8
    min_similarity: float = 0.8
    seed: int = 1

    def __post_init__(self):
        for name in ("words", "bands", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"PageDuplicates.{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.min_similarity <= 1:
            raise ValueError(f"PageDuplicates.min_similarity must lie in (0, 1], got {self.min_similarity}")


def shingles(text: str, words: int) -> list[str]:
    """Each run of `words` words, in lower case with one space between them; of a shorter text its one run."""
    found = _WORD.findall(text.casefold())
    if not found:
        return []
    return [" ".join(found[start : start + words]) for start in range(max(1, len(found) - words + 1))]


def digest(text: str) -> bytes:
    """A hash (128 bits) of the text's words: equal for pages that differ in case, punctuation or white space alone."""
    words = " ".join(_WORD.findall(text.casefold()))
    return hashlib.blake2b(words.encode(errors="surrogatepass"), digest_size=16).digest()


def signature(text: str, config: PageDuplicates) -> bytes:
    """The MinHash of a text: 4 bytes a permutation, the same in every process; b"" for a text without words.

    1,000 words take 0.7 ms.
    """
    runs = [run.encode(errors="surrogatepass") for run in shingles(text, config.words)]
    if not runs:
        return b""
    # CRC-32 may be used as a hash here, for datasketch mixes its bits before it permutes them.
    sketch = datasketch.MinHash(
        config.bands * config.rows,
        seed=config.seed,
        hashfunc=zlib.crc32,
        permutations=_permutations(config),
        scheme=_SCHEME,
    )
    for start in range(0, len(runs), _BATCH):
        sketch.update_batch(runs[start : start + _BATCH])
    return sketch.hashvalues.astype("<u4").tobytes()


def buckets(page: bytes, config: PageDuplicates) -> tuple[bytes, ...]:
    """The keys of the buckets that a signature falls into, one a band; none without words."""
    width = 4 * config.rows
    return tuple(
        band.to_bytes(2, "big") + page[band * width : (band + 1) * width] for band in range(config.bands) if page
    )


def similarity(one: bytes, other: bytes) -> float:
    """The Jaccard similarity of the shingles of two pages as their signatures estimate it; 0 without words.

    Raises:
      ValueError: the signatures were made with different numbers of permutations.
    """
    if not one or not other:
        return 0.0
    if len(one) != len(other):
        raise ValueError(f"signatures of {len(one)} and {len(other)} bytes: they were made with different configs")
    return float(np.mean(np.frombuffer(one, "<u4") == np.frombuffer(other, "<u4")))


def similar(one: bytes, other: bytes, config: PageDuplicates) -> bool:
    """Whether two pages count as one by their signatures."""
    return similarity(one, other) >= config.min_similarity


@functools.lru_cache(maxsize=8)
def _permutations(config: PageDuplicates) -> np.ndarray:
    return datasketch.MinHash(config.bands * config.rows, seed=config.seed, scheme=_SCHEME).permutations
