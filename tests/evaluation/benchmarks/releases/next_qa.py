"""The open-ended edition of NExT-QA as its repository publishes it, with the videos in the groups of VidOR."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

_HEADER = "video,frame_count,width,height,question,answer,qid,type"
_GROUPS = {
    "4010069381": "1164",
    "2400100123": "0005",
    "6233408665": "1150",
    "13884570753": "1164",
    "3238737531": "0000",
}
_TRAIN = [
    ("4010069381", "why did the boy pick up the ball", "to throw it", 0, "CW"),
    ("4010069381", "how did the boy throw the ball", "with both hands", 1, "CH"),
    ("4010069381", "what did the boy do after he fell", "stand up", 2, "TN"),
    ("4010069381", "what did the boy do before he fell", "run", 3, "TP"),
    ("2400100123", "what is the dog doing as the girl sits", "sleeping", 0, "TC"),
    ("2400100123", "how many dogs are there", "two", 1, "DC"),
    ("2400100123", "is the girl happy", "yes", 2, "DB"),
    ("2400100123", "where is this", "park", 3, "DL"),
    ("2400100123", "what does the girl hold", "a leash", 4, "DO"),
]
_VAL = [
    ("3238737531", "where is the cat", "on the sofa", 0, "DL"),
    ("3238737531", "why does the cat jump", "to catch the toy", 1, "CW"),
    ("3238737531", "what colour is the cat", "black and white", 2, "DO"),
]
_TEST = [
    ("6233408665", "why is the man waving", "to greet the lady", 0, "CW"),
    ("6233408665", "how does the man hold the baby", "on his arm", 3, "CH"),
    ("6233408665", "what does the baby do after the man waves", "laugh", 1, "TN"),
    ("6233408665", "what did the man do before he sat down", "walk to the chair", 2, "TP"),
    ("13884570753", "what is the lady doing as the baby laughs", "clapping", 0, "TC"),
    ("13884570753", "how many people are there", "3", 10, "DC"),
    ("13884570753", "is it raining", "no", 2, "DB"),
    ("13884570753", "where is the lady", "living room", 4, "DL"),
    ("13884570753", "what does the lady wear", "a red hat", 5, "DO"),
]
ADDED = {"6233408665": {"1": "giggle", "0": "say hello", "3": "in his arm", "2": "walk"}}


def write(folder: Path) -> None:
    """Nine questions of train, three of val and nine of test, four of which have a second reference answer."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, questions in (("train", _TRAIN), ("val", _VAL), ("test", _TEST)):
        rows = [
            f"{video},300,640,480,{question},{answer},{qid},{kind}" for video, question, answer, qid, kind in questions
        ]
        (folder / f"{split}.csv").write_text("\n".join([_HEADER, *rows]) + "\n")
    (folder / "add_reference_answer_test.json").write_text(json.dumps(ADDED, indent=4))
    places = {video: f"{group}/{video}" for video, group in _GROUPS.items()}
    (folder / "map_vid_vidorID.json").write_text(json.dumps(places))
    for place in places.values():
        write_clip(folder / "NExTVideo" / f"{place}.mp4")
