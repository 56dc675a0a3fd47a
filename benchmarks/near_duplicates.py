"""How well copies of pictures are recognised, and how fast: changes real pictures in known ways and looks for them.

    python benchmarks/near_duplicates.py FOLDER...

Every image file below the folders with sides of 64 pixels or more is taken once.
The figures are in benchmarks/README.md.
"""

import argparse
import concurrent.futures
import io
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from flamingo_jax.data.duplicates import CANDIDATES, COPIES, Fingerprint, FingerprintIndex, Likeness, fingerprint
from flamingo_jax.data.errors import MediaError
from flamingo_jax.data.images import MAX_PIXELS_LIMIT, load_image
from flamingo_jax.data.near_hashes import HashIndex

HASH_ALONE = Likeness(max_distance=8, min_correlation=-1.0, max_difference=1e9)
LARGEST = 1600  # pixels of the longer side of what is changed
INDEXED, QUERIES = 200_000, 1_000


def crop(image: Image.Image, share: float) -> Image.Image:
    """Cuts off a share of each side."""
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def scale(image: Image.Image, x: float, y: float) -> Image.Image:
    """Resizes by factors."""
    size = max(1, round(image.width * x)), max(1, round(image.height * y))
    return image.resize(size, Image.Resampling.BICUBIC)


def warm(image: Image.Image) -> Image.Image:
    """More red, less blue."""
    return image.convert("RGB", (1.1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0.9, 0))


CHANGES = {
    "half the size": lambda image: (scale(image, 0.5, 0.5), "PNG", {}),
    "a quarter of the size": lambda image: (scale(image, 0.25, 0.25), "PNG", {}),
    "stretched by 1.2": lambda image: (scale(image, 1.2, 1), "PNG", {}),
    **{f"JPEG, quality {q}": lambda image, q=q: (image, "JPEG", {"quality": q}) for q in (95, 75, 50, 30)},
    "half, JPEG 50": lambda image: (scale(image, 0.5, 0.5), "JPEG", {"quality": 50}),
    "WebP, quality 60": lambda image: (image, "WEBP", {"quality": 60}),
    "GIF, 256 colours": lambda image: (image.quantize(256), "GIF", {}),
    "1% cut off each side": lambda image: (crop(image, 0.01), "PNG", {}),
    "2% cut off each side": lambda image: (crop(image, 0.02), "PNG", {}),
    "5% cut off each side": lambda image: (crop(image, 0.05), "PNG", {}),
    "brightness 1.2": lambda image: (ImageEnhance.Brightness(image).enhance(1.2), "PNG", {}),
    "contrast 1.25": lambda image: (ImageEnhance.Contrast(image).enhance(1.25), "PNG", {}),
    "saturation 1.4": lambda image: (ImageEnhance.Color(image).enhance(1.4), "PNG", {}),
    "warmer": lambda image: (warm(image), "PNG", {}),
    "grey": lambda image: (image.convert("L"), "PNG", {}),
    "mirrored, JPEG 50": lambda image: (ImageOps.mirror(image), "JPEG", {"quality": 50}),
}


def fingerprints(path: Path) -> list[Fingerprint]:
    """That of a file and of each change of it."""
    encoded = path.read_bytes()
    size = Image.open(io.BytesIO(encoded)).size
    image = load_image(encoded, size=min(max(size), LARGEST), max_pixels=MAX_PIXELS_LIMIT)
    made = [fingerprint(encoded)]
    for change in CHANGES.values():
        changed, kind, options = change(image)
        buffer = io.BytesIO()
        changed.save(buffer, kind, **options)
        made.append(fingerprint(buffer.getvalue()))
    return made


def usable(path: Path) -> bool:
    """Whether the image can be read and is large enough for a corpus."""
    try:
        load_image(path.read_bytes(), size=256, max_pixels=MAX_PIXELS_LIMIT)
        return min(Image.open(path).size) >= 64
    except MediaError:
        return False


def find(folder: Path, workers: concurrent.futures.Executor) -> list[Path]:
    """The usable images below a folder."""
    suffixes = {".png", ".jpg", ".jpeg", ".gif", ".webp"}
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    different = {path.read_bytes(): path for path in reversed(paths)}
    paths = sorted(different.values())
    return [path for path, good in zip(paths, workers.map(usable, paths, chunksize=16), strict=True) if good]


def report_recall(rows: list[list[Fingerprint]]) -> None:
    """How many copies of each kind find their original."""
    index = FingerprintIndex([row[0] for row in rows])
    print(f"\n{'found of ' + str(len(rows)):24s}   hash alone   COPIES   CANDIDATES")
    for which, name in enumerate(CHANGES, start=1):
        shares = []
        for likeness in (HASH_ALONE, COPIES, CANDIDATES):
            found = index.near([row[which] for row in rows], likeness)
            shares.append(len(np.unique(found.query[found.query == found.index])) / len(rows))
        print(f"{name:24s}   {shares[0]:10.3f}   {shares[1]:6.3f}   {shares[2]:10.3f}")


def report_pairs(name: str, rows: list[list[Fingerprint]]) -> None:
    """How many pairs of different files count as copies."""
    prints = [row[0] for row in rows]
    index = FingerprintIndex(prints)
    counts = []
    for likeness in (HASH_ALONE, COPIES, CANDIDATES):
        found = index.near(prints, likeness)
        counts.append(len({frozenset(pair) for pair in zip(*found[:2], strict=True) if pair[0] != pair[1]}))
    by_hash, copies, candidates = counts
    print(f"{name}: of {len(rows):,} files {by_hash} pairs by the hash alone, {copies} COPIES, {candidates} CANDIDATES")


def report_speed(rows: list[list[Fingerprint]]) -> None:
    """Searching many hashes: the real ones with random bits changed, so that they crowd as real ones do."""
    rng = np.random.default_rng(0)
    real = np.array([one.hash for row in rows for one in row], np.uint64)
    hashes = real[rng.integers(0, len(real), INDEXED)]
    for _ in range(12):
        hashes ^= np.uint64(1) << rng.integers(0, 64, INDEXED, dtype=np.uint64)
    queries = hashes[:QUERIES] ^ np.uint64(0x8001)
    index = HashIndex(hashes)
    index.near(queries[:1], 0)
    print(f"\n{QUERIES:,} queries of {INDEXED:,} hashes:")
    for distance in (2, 4, 8, 10, 11, 12):
        start = time.perf_counter()
        found = index.near(queries, distance)
        print(f"  distance {distance:2d}: {time.perf_counter() - start:.3f} s, {len(found.query):,} matches")


def main() -> None:
    """Prints the tables."""
    flags = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    flags.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = flags.parse_args().folders
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as workers:
        rows = {folder: list(workers.map(fingerprints, find(folder, workers), chunksize=8)) for folder in folders}
    for folder, of_folder in rows.items():
        report_pairs(str(folder), of_folder)
    everything = [row for of_folder in rows.values() for row in of_folder]
    report_recall(everything)
    report_speed(everything)


if __name__ == "__main__":
    main()
