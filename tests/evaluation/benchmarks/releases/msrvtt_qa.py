"""MSRVTT-QA as its authors publish it, beside the clips of MSR-VTT in the folders of its two archives."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

MISSING = 7012
_TRAIN = [
    (0, "what is a car doing?", "drive"),
    (0, "who drives a car?", "man"),
    (0, "what does a man drive?", "car"),
    (2, "who talks about a recipe?", "woman"),
    (2, "what is a woman doing?", "talk"),
    (2, "what is cut?", "onion"),
    (5, "what color is the ball?", "red"),
    (5, "how many people play?", "two"),
    (5, "when do they play?", "day"),
]
_VAL = [(6513, "who swims?", "fish"), (6513, "what swims?", "fish")]
_TEST = [
    (7010, "what is a woman doing?", "talk"),
    (7010, "who is talking?", "woman"),
    (7011, "what does a man cut?", "onion"),
    (7011, "where is a man?", "kitchen"),
    (7011, "how many onions are there?", "two"),
    (7012, "who runs?", "man"),
    (9999, "is this a question of the set?", "man"),
    (9999, "what drives?", "car"),
]


def write(folder: Path) -> None:
    """Nine questions of train, two of val and eight of test, of which one is about a clip that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, questions in (("train", _TRAIN), ("val", _VAL), ("test", _TEST)):
        records = []
        for video, question, answer in questions:
            records.append(
                {"answer": answer, "category_id": video % 20, "id": number, "question": question, "video_id": video}
            )
            number += 1
            if video != MISSING:
                clips = "TestVideo" if split == "test" else "TrainValVideo"
                write_clip(folder / clips / f"video{video}.mp4")
        (folder / f"{split}_qa.json").write_text(json.dumps(records))
