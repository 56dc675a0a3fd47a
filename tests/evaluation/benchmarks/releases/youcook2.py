"""YouCook2 as its site publishes it: one file of annotations for two subsets, lists of videos, whole videos."""

import json
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

MISSING = "val-Gone_000"
_VIDEOS = {
    "tr-Cake_aaaa": ("training", "101", "mp4", ["crack two eggs", "whisk the eggs with sugar", "add flour", "bake it"]),
    "trSoup_bbbb1": ("training", "213", "mkv", ["boil water", "add carrots and  leek", "stir", "serve in bowls"]),
    "-vaRoll_cccc": ("validation", "101", "webm", ["spread rice on nori", "put tuna on the rice", "roll it up"]),
    "val_Fry_dddd": ("validation", "405", "mp4", ["heat oil", "fry the onions", "add salt "]),
    MISSING: ("validation", "405", None, ["peel a mango", "slice it"]),
}


def write(folder: Path) -> None:
    """Eight steps of training videos, eight of validation videos; the video of two of the latter is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    database = {}
    for video, (subset, recipe, extension, sentences) in _VIDEOS.items():
        steps = [
            {"segment": [3 * number, 3 * number + 2], "id": number, "sentence": sentence}
            for number, sentence in enumerate(sentences)
        ]
        database[video] = {
            "duration": 12.5,
            "subset": subset,
            "recipe_type": recipe,
            "annotations": steps,
            "video_url": f"https://www.youtube.com/watch?v={video}",
        }
        if extension:
            write_clip(folder / "raw_videos" / subset / recipe / f"{video}.{extension}", seconds=12)
    (folder / "youcookii_annotations_trainval.json").write_text(json.dumps({"database": database}))
    for subset, name in (("training", "train_list.txt"), ("validation", "val_list.txt")):
        lines = [f"{recipe}/{video}\n" for video, (own, recipe, *_) in _VIDEOS.items() if own == subset]
        (folder / "splits").mkdir(exist_ok=True)
        (folder / "splits" / name).write_text("".join(lines))
