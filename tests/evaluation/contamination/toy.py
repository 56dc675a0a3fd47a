"""Pictures that are told apart as photographs are, and a benchmark that asks about some."""

import io

import numpy as np
from PIL import Image as Picture

from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaFile, Score
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile
from tests.data.samples import encode_clip


def shapes(seed, size=(240, 180)):
    """A picture with coarse shapes of its own, as photographs have."""
    rng = np.random.default_rng(seed)
    pixels = sum(
        np.asarray(Picture.fromarray(rng.integers(0, 256, (n, n, 3), np.uint8)).resize(size), float) / n
        for n in (2, 4, 8, 16)
    )
    return Picture.fromarray((pixels * 255 / pixels.max()).astype(np.uint8))


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def clip_of(seed):
    """A clip that begins with one picture and goes over to another after a second."""
    frames = [np.asarray(shapes(seed))] * 5 + [np.asarray(shapes(seed + 500))] * 5
    return encode_clip(frames, 5)


def read(folder, split):
    """Two questions about each picture, as in question answering."""
    names = sorted(path.name for path in (folder / split).iterdir())
    return [
        Item(f"{name}/{question}", MediaFile(str(folder / split / name), name.endswith(".mp4")), "Output:", "x")
        for name in names
        for question in range(2)
    ]


BENCHMARK = Benchmark(
    "toy",
    "Toy <i>",
    "accuracy",
    read,
    lambda items, predictions: Score(0.0),
    {split: (ReleaseFile(f"{split}/", f"the {split} pictures"),) for split in ("test", "train")},
    query_split="test",
    dev_queries=4,
)


def write_release(folder):
    """Test pictures 0 to 5 (5 is broken) and a clip; training pictures 20 to 25."""
    for split, seeds in (("test", range(5)), ("train", range(20, 26))):
        (folder / split).mkdir()
        for seed in seeds:
            (folder / split / f"{seed:02}.jpg").write_bytes(encoded(shapes(seed), "JPEG", quality=92))
    (folder / "test" / "05.jpg").write_bytes(b"broken")
    (folder / "test" / "06.mp4").write_bytes(clip_of(60))
