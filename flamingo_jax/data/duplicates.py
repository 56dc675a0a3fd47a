"""Copies of one picture: resized, recompressed, recoloured or mirrored files that show the same.

A copy is recognised in two steps. The perceptual hash (pHash: the signs of the 64 lowest frequencies) finds candidates
among millions of pictures. It is blind to detail, and most of its bits are noise where a picture is mostly white, so
that it takes one plot for another; a grey thumbnail of 16 x 16 pixels, compared pixel by pixel after the contrast is
evened out, tells those apart. `benchmarks/near_duplicates.py` measures both on files.
"""

import dataclasses
import functools
import hashlib
import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageOps

from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import MAX_PIXELS_LIMIT, load_image
from flamingo_jax.data.near_hashes import HashIndex, Matches

_DECODED = 256  # pixels of the longer side: enough for the 32 x 32 of the hash, and large JPEGs decode fast
_HASHED = 32  # what ImageHash itself resizes to
_SIDE = 16
_FLAT = 1.0  # grey levels; below it the thumbnail of two pictures differs by less than rounding
_CHUNK = 1 << 15
MAY_BE_EXACT = 4
"""Bits by which hashes of the same pixels may differ: other formats are decoded at another scale."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Fingerprint:
    """What a picture is recognised by; 0.4 kB.

    Attributes:
      hash: the 64-bit pHash, as ImageHash writes it in hexadecimal digits.
      mirrored: that of the picture mirrored left to right.
      thumbnail: 16 x 16 grey levels, row by row; the aspect ratio is not kept.
      digest: a hash of the file's bytes (128 bits).
    """

    hash: int
    mirrored: int
    thumbnail: bytes
    digest: bytes


@dataclasses.dataclass(frozen=True)
class Likeness:
    """How much alike two pictures must be to count as copies of each other.

    The defaults were measured on 2,647 pictures of manuals and stamps. Of the copies at half the size, as JPEG of
    quality 30 to 95, as WebP or GIF, of other saturation or white balance, in grey, or mirrored they find 97 to 99%, of
    those at a quarter of the size 89%, with 1.25 times the contrast 82%. Among 320 figures of one manual the hash alone
    takes 72 pairs for copies and they take 2 (which are); among 641 stamps, 55 and 5 (a mirrored stamp, b and d, p and
    q). Crops are found by `CANDIDATES`.

    Attributes:
      max_distance: in how many of 64 bits the hashes may differ.
      min_correlation: of the grey levels of the thumbnails.
      max_difference: between two pixels of the thumbnails, in grey levels (0..255), contrasts evened out.
      mirrored: whether mirror images count, such as b and d.
    """

    max_distance: int = 8
    min_correlation: float = 0.9
    max_difference: float = 15.0
    mirrored: bool = True


COPIES = Likeness()
CANDIDATES = Likeness(max_distance=10, max_difference=255.0)
"""Also finds 97% of crops by 1% at each side and 85% of those by 2%, with much that somebody has to look at."""


def fingerprint(encoded: bytes, *, max_pixels: int = MAX_PIXELS_LIMIT) -> Fingerprint:
    """The fingerprint of an image file: upright, on white where transparent, the first frame of an animation.

    Raises:
      MediaError: it cannot be decoded, or has more than `max_pixels` pixels.
    """
    grey = load_image(encoded, size=_DECODED, max_pixels=max_pixels).convert("L")
    small = grey.resize((_HASHED, _HASHED), Image.Resampling.LANCZOS)
    thumbnail = small.reduce(_HASHED // _SIDE)
    digest = hashlib.blake2b(encoded, digest_size=16).digest()
    return Fingerprint(perceptual_hash(small), perceptual_hash(ImageOps.mirror(small)), thumbnail.tobytes(), digest)


def perceptual_hash(image: Image.Image) -> int:
    """The 64-bit pHash of an image.

    Raises:
      ImportError: ImageHash is not installed; it comes with the extra `data`.
    """
    return int.from_bytes(np.packbits(_imagehash().phash(image).hash).tobytes(), "big")


@functools.cache
def _imagehash():
    try:
        import imagehash  # slow to import, and of use to corpora and evaluation only
    except ImportError as error:
        raise ImportError('looking for copies of images needs ImageHash: pip install "flamingo-jax[data]"') from error
    return imagehash


def distance(one: Fingerprint, other: Fingerprint, *, mirrored: bool = True) -> int:
    """In how many bits the hashes differ: of the pictures as they are or, if fewer, with one of them mirrored."""
    straight = (one.hash ^ other.hash).bit_count()
    return min(straight, (one.mirrored ^ other.hash).bit_count()) if mirrored else straight


def alike(one: Fingerprint, other: Fingerprint, likeness: Likeness = COPIES) -> bool:
    """Whether two pictures are copies of each other.

    Pictures with flat thumbnails (a drawing of a few thin lines) are alike if their files are, byte for byte.
    """
    if one.digest == other.digest:
        return True
    if distance(one, other, mirrored=likeness.mirrored) > likeness.max_distance:
        return False
    return len(FingerprintIndex([other]).near([one], likeness).index) > 0


def is_exact(one: bytes, other: bytes) -> bool:
    """Whether two image files are the same byte by byte, or pixel by pixel; asked of those within `MAY_BE_EXACT`."""
    return one == other or same_pixels(one, other)


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two image files, decoded and upright, have the same pixels; False if one cannot be decoded."""
    try:
        first, second = (_whole(encoded) for encoded in (one, other))
    except MediaError:
        return False
    return first.size == second.size and first.tobytes() == second.tobytes()


class FingerprintIndex:
    """The fingerprints of a collection, for finding copies of a picture in it. 0.3 kB each."""

    def __init__(self, fingerprints: Sequence[Fingerprint]):
        self._hashes = HashIndex(np.array([one.hash for one in fingerprints], np.uint64))
        self._thumbnails = _thumbnails(fingerprints)
        self._digests = _digests(fingerprints)

    def __len__(self) -> int:
        return len(self._hashes)

    def near(self, queries: Sequence[Fingerprint], likeness: Likeness = COPIES) -> Matches:
        """All pairs of a query and an indexed picture that are alike; each pair once, with its smaller distance."""
        straight = np.array([one.hash for one in queries], np.uint64)
        found = self._hashes.near(straight, likeness.max_distance)
        sides = np.zeros(len(found.query), bool)
        if likeness.mirrored:
            other = np.array([one.mirrored for one in queries], np.uint64)
            mirrored = self._hashes.near(other, likeness.max_distance)
            found = Matches(*(np.concatenate(both) for both in zip(found, mirrored, strict=True)))
            sides = np.concatenate([sides, np.ones(len(mirrored.query), bool)])
        if not len(found.query):
            return found
        thumbnails, digests = _thumbnails(queries), _digests(queries)
        kept = np.zeros(len(sides), bool)
        for start in range(0, len(sides), _CHUNK):
            part = slice(start, start + _CHUNK)
            ours, theirs = thumbnails[found.query[part]], self._thumbnails[found.index[part]]
            ours = np.where(sides[part, None, None], ours[:, :, ::-1], ours)
            kept[part] = _agree(ours, theirs, likeness) | (
                digests[found.query[part]] == self._digests[found.index[part]]
            )
        return _once(Matches(*(column[kept] for column in found)))


def _whole(encoded: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            size = max(image.size)
    except Exception as error:  # an open set, as for every decoder
        raise MediaError(f"an image of {len(encoded)} bytes cannot be opened: {error}") from error
    return load_image(encoded, size=size, max_pixels=MAX_PIXELS_LIMIT)


def _agree(
    one: UInt8[np.ndarray, "pairs side side"], other: UInt8[np.ndarray, "pairs side side"], likeness: Likeness
) -> Bool[np.ndarray, " pairs"]:
    one, one_deviation = _standardised(one)
    other, other_deviation = _standardised(other)
    correlation = (one * other).mean(axis=1)
    difference = np.abs(one - other).max(axis=1) * np.maximum(one_deviation, other_deviation)
    informative = np.minimum(one_deviation, other_deviation) >= _FLAT
    return informative & (correlation >= likeness.min_correlation) & (difference <= likeness.max_difference)


def _standardised(
    thumbnails: UInt8[np.ndarray, "pairs side side"],
) -> tuple[Float[np.ndarray, "pairs pixels"], Float[np.ndarray, " pairs"]]:
    """Pixels with a mean of 0 and a deviation of 1, and what the deviation was."""
    pixels = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    pixels = pixels - pixels.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(pixels).mean(axis=1))
    return pixels / np.maximum(deviation, 1e-6)[:, None], deviation


def _once(matches: Matches) -> Matches:
    order = np.lexsort((matches.distance, matches.index, matches.query))
    query, index, distances = (column[order] for column in matches)
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(query) != 0) | (np.diff(index) != 0)
    query, index, distances = query[first], index[first], distances[first]
    order = np.lexsort((index, distances, query))
    return Matches(query[order], index[order], distances[order])


def _thumbnails(fingerprints: Sequence[Fingerprint]) -> UInt8[np.ndarray, "pictures side side"]:
    return np.frombuffer(b"".join(one.thumbnail for one in fingerprints), np.uint8).reshape(-1, _SIDE, _SIDE)


def _digests(fingerprints: Sequence[Fingerprint]) -> np.ndarray:
    # Void, not bytes: NumPy would strip trailing zeros from those.
    return np.frombuffer(b"".join(one.digest for one in fingerprints), "V16")
