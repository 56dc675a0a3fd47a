"""RareAct as its repository publishes it: one table, and whole videos named by their YouTube ids."""

from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

MISSING = "gone-Gone_00"
ROWS = [  # video, start, end, class, verb, noun, annotation
    ("7frAaaaaa_-A", 0, 4, 0, "cut", "keyboard", 1),
    ("7frAaaaaa_-A", 4, 8, 0, "cut", "keyboard", 3),
    ("TLMbbbbbbb_B", 2, 6, 1, "wash", "phone", 1),
    ("TLMbbbbbbb_B", 2, 6, 1, "wash", "phone", 1),  # twice, as some rows are
    ("TLMbbbbbbb_B", 2, 6, 2, "cut", "phone", 2),  # the same seconds for another action
    ("TLMbbbbbbb_B", 0, 2, 1, "wash", "phone", 0),
    ("-ppcccccccC0", 4, 8, 2, "cut", "phone", 1),
    ("-ppcccccccC0", 0, 4, 2, "cut", "phone", 4),
    ("dNZddddddd_D", 1, 5, 3, "fry", "eggs", 1),
    (MISSING, 10, 20, 3, "fry", "eggs", 1),
    ("dNZddddddd_D", 5, 8, 4, "unplug", "oven", 0),  # a class of which no positive was found
]


def write(folder: Path) -> None:
    """Nine segments in eleven rows; the video of one of them is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["id,video_id,start,end,class_id,verb,noun,annotation"]
    lines += [",".join(map(str, (number, *row))) for number, row in enumerate(ROWS)]
    (folder / "rareact.csv").write_text("\n".join(lines) + "\n")
    for video in dict.fromkeys(row[0] for row in ROWS):
        if video != MISSING:
            write_clip(folder / "videos" / f"{video}.mp4", seconds=8)
