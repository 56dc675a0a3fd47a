"""OK-VQA, small: 8 questions of train, 6 of val."""

from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape
from tests.evaluation.benchmarks.releases.vqa_format import answers, write_annotations, write_questions


def write(folder: Path) -> None:
    """Writes the files of questions and annotations, and the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_split(folder, "train2014", range(8))
    _write_split(folder, "val2014", range(20, 26))


def _write_split(folder: Path, subset: str, numbers: range) -> None:
    questions, annotations = [], []
    for number in numbers:
        image_id = 51606 + number
        draw(folder / subset / f"COCO_{subset}_{image_id:012d}.jpg", number)
        asked = f"What could the {colour(number)} {shape(number)} be used for?"
        questions.append({"image_id": image_id, "question": asked, "question_id": 10 * image_id + 5})
        # Five people, each listed twice: as written, and as a stem.
        written = ["playing games", "teaching", "teaching", f"drawing {shape(number)}s", "playing games"]
        stems = ["play game", "teach", "teach", f"draw {shape(number)}", "play game"]
        records = answers([one for one in written for _ in range(2)], "raw_answer")
        for record, stem in zip(records, (one for one in stems for _ in range(2)), strict=True):
            record["answer"] = stem
        annotations.append(
            {
                "image_id": image_id,
                "answer_type": "other",
                "question_type": ("one", "four", "eight")[number % 3],
                "question_id": 10 * image_id + 5,
                "answers": records,
                "confidence": 3,
            }
        )
    write_questions(folder / f"OpenEnded_mscoco_{subset}_questions.json", questions, subset)
    write_annotations(folder / f"mscoco_{subset}_annotations.json", annotations, subset)
