"""iVQA as the authors of Just Ask publish it: tables with five people's answers, and clips of HowTo100M."""

import csv
import io
from pathlib import Path

from tests.evaluation.benchmarks.releases.clips import write_clip

MISSING = "te-Gone_0000"
_COLUMNS = ("video_id", "start", "end", "question", *(f"answer{person}" for person in range(1, 6)), "confidence")
_TRAIN = [
    ("tr_aaaaaaa-1", "What is put in the pan?", "butter butter oil butter oil"),
    ("tr_bbbbbbb-2", "What tool is used, at the end of the video, to cut?", "knife knife scissors knife knife"),
    ("-tr_cccccc-3", 'What does the word "sand" mean here?', "smooth smooth polish smooth grind"),
    ("tr_ddddddd-4", "Which colour has the bowl?", "blue white blue white blue"),
    ("tr_eeeeeee-5", "What is peeled?", "carrot carrot carrot parsnip carrot"),
    ("tr_fffffff-6", "What is behind the man?", "wall wall shelf wall fridge"),
    ("tr_ggggggg-7", "What is sewn?", "shirt shirt shirt shirt shirt"),
    ("tr_hhhhhhh-8", "What is in the glass?", "water water juice juice water"),
]
_VAL = [("va_aaaaaaa-1", "What is whisked?", "eggs eggs eggs cream eggs")]
_TEST = [
    ("te_aaaaaaa-1", "What is fried?", "oil butter butter lard butter"),
    ("te_bbbbbbb-2", "What is cut, first?", "carrot parsnip carrot NA carrot"),
    ("te_ccccccc-3", "What is used to cut?", "scissors scissors knife knife saw"),
    ("te_ccccccc-3", "What is on the table?", "bowl bowl bowl bowl bowl"),  # a clip with two questions; no known answer
    ("te-Gone_0000", "What is gone?", "wall wall wall wall wall"),
    ("te_ddddddd-4", "What is poured?", "water water water water water"),
    ("te_eeeeeee-5", "What is polished?", "wall shirt shelf blue white"),
]


def write(folder: Path) -> None:
    """Eight questions of train, one of val and seven of test, of which one is about a clip that is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, questions in (("train", _TRAIN), ("val", _VAL), ("test", _TEST)):
        lines = io.StringIO()
        table = csv.writer(lines)
        table.writerow(_COLUMNS)
        for place, (video, question, answers) in enumerate(questions):
            table.writerow([video, 10 * place, 10 * place + 9, question, *answers.split(), 1])
            if video != MISSING:
                write_clip(folder / "video" / f"{video}.{'webm' if video.startswith('-') else 'mp4'}")
        (folder / f"{split}.csv").write_bytes(lines.getvalue().encode())  # line ends as they are, CR LF
