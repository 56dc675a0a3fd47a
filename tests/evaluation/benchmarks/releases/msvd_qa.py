"""MSVD-QA as its authors publish it, beside the clips of MSVD, which are AVI files named by YouTube id and seconds."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

CLIPS = {
    1: "-4aaaaaaaBc_5_15",
    2: "-7KbbbbbbbW_205_208",
    3: "8y1_ccccc-A_108_115",
    1201: "ddd_ddddddd_0_11",
    1301: "eeeeeeeeeee_33_46",
    1302: "fff-fffffff_1_9",
    1303: "ggggg_ggggg_70_84",
}
MISSING = 1303
_TRAIN = [
    (1, "what is a man doing?", "ride"),
    (1, "who is riding a horse?", "man"),
    (1, "what does a man ride?", "horse"),
    (2, "what is slicing an onion?", "woman"),
    (2, "who is slicing an onion?", "woman"),
    (2, "how many onions are sliced?", "two"),
    (3, "where do two dogs play?", "garden"),
    (3, "what are two dogs doing?", "play"),
    (3, "when do dogs play?", "day"),
]
_VAL = [(1201, "who sings?", "girl"), (1201, "what does a girl hold?", "guitar")]
_TEST = [
    (1301, "what is a boy doing?", "ride"),
    (1301, "who is riding a bike?", "boy"),  # an answer that no training question has
    (1301, "where does a boy ride?", "garden"),
    (1302, "how many dogs bark?", "two"),
    (1302, "who barks at a woman?", "dog"),
    (1302, "which animal barks at a woman?", "woman"),
    (1303, "what is a man playing?", "play"),
    (1302, "who is a dog barking at?", "woman"),
]


def write(folder: Path) -> None:
    """Nine questions of train, two of val and eight of test, of which one is about a clip that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, questions in (("train", _TRAIN), ("val", _VAL), ("test", _TEST)):
        records = []
        for video, question, answer in questions:
            records.append({"answer": answer, "id": number, "question": question, "video_id": video})
            number += 1
        (folder / f"{split}_qa.json").write_text(json.dumps(records))
    (folder / "youtube_mapping.txt").write_text("".join(f"{name} vid{video}\n" for video, name in CLIPS.items()))
    for video, name in CLIPS.items():
        if video != MISSING:
            write_clip(folder / "YouTubeClips" / f"{name}.avi")
