"""VATEX as its site publishes it: captions in two languages (the public test in one), clips cut from YouTube."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

MISSING = "-gone4ever_0_000005_000015"
_DOING = ("juggles three oranges", "waters a fern", "paints a fence", "folds a map", "rides a unicycle", "mends a net")


def write(folder: Path) -> None:
    """Ten clips of train, two of val, seven of test, of which one has gone from the web."""
    folder.mkdir(parents=True, exist_ok=True)
    train = [_record(f"tr-{number:02d}_aBcDeF", number) for number in range(10)]
    val = [_record(f"va_{number:02d}-ghIjKl", 20 + number) for number in range(2)]
    test = [_record(f"-t_{number:02d}MnOpQr", 30 + number) for number in range(6)]
    test.insert(3, {**_record("x", 40), "videoID": MISSING})
    for record in test:
        del record["chCap"]
    test[0]["enCap"][0] = " A woman  folds\na map. "  # white space as people typed it
    for name, records in (
        ("vatex_training_v1.0.json", train),
        ("vatex_validation_v1.0.json", val),
        ("vatex_public_test_english_v1.1.json", test),
    ):
        (folder / name).write_text(json.dumps(records))
        for record in records:
            if record["videoID"] != MISSING:
                kind = "mkv" if record["videoID"].startswith("tr-03") else "mp4"
                write_clip(folder / "videos" / f"{record['videoID']}.{kind}")
    (folder / "videos" / "-t_00MnOpQr_000030_000040.info.json").write_text("{}")  # fetching tools leave such files


def _record(video: str, number: int) -> dict:
    who, doing = ("A man", "A woman", "A child")[number % 3], _DOING[number % len(_DOING)]
    english = [f"{who} {doing} {where}." for where in ("outside", "in a yard", "near a house", "while talking")]
    english += [f"Somebody {doing}, take {take}" for take in range(6)]
    chinese = [f"有人在做第{number}件事，说法{way}。" for way in range(10)]
    return {"videoID": f"{video}_{number:06d}_{number + 10:06d}", "enCap": english, "chCap": chinese}
