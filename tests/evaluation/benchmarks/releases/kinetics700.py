"""Kinetics-700 (2020): the tables of the release, and clips in a folder for each class."""

from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

CLASSES = ("abseiling", "acting in play", "massaging person's head", "opening bottle (not wine)", "tap dancing", "yoga")
MISSING = "va-Gone_000_000003_000013"


def write(folder: Path) -> None:
    """Two clips a class of train, one of val; of val one more, which has gone from the web."""
    folder.mkdir(parents=True, exist_ok=True)
    train = [
        (name, f"{'-_'[number % 2]}tr{place:02d}AbCdEf{number}", 10 * place)
        for number in range(2)
        for place, name in enumerate(CLASSES)
    ]
    val = [(name, f"va{place:02d}_GhIjK-", 7 * place) for place, name in enumerate(reversed(CLASSES))]
    val.insert(2, ("yoga", "va-Gone_000", 3))
    for table, clips, rows in (("train", "train", train), ("validate", "val", val)):
        lines = ["label,youtube_id,time_start,time_end,split"]
        for name, video, start in rows:
            lines.append(f"{name},{video},{start},{start + 10},{table}")
            stem = f"{video}_{start:06d}_{start + 10:06d}"
            if stem != MISSING:
                write_clip(folder / clips / name / f"{stem}.mp4")
        (folder / f"{table}.csv").write_text("\n".join(lines) + "\n")
