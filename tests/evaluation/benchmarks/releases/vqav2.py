"""VQAv2, small: 9 questions of train, 7 of val, 6 of test-dev, 7 of test."""

from pathlib import Path

from tests.evaluation.benchmarks.releases.drawing import colour, draw, shape
from tests.evaluation.benchmarks.releases.vqa_format import answers, write_annotations, write_questions


def write(folder: Path) -> None:
    """Writes the files of questions, those of annotations of train and val, and the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_split(folder, "train2014", "train2014", range(9))
    _write_split(folder, "val2014", "val2014", range(20, 27))
    _write_split(folder, "test2015", "test-dev2015", range(40, 46))
    _write_split(folder, "test2015", "test2015", range(40, 47))  # test-dev is a part of test


def _write_split(folder: Path, images: str, subset: str, numbers: range) -> None:
    questions, annotations = [], []
    for number in numbers:
        image_id = 458752 + number // 2  # several questions about a picture
        draw(folder / images / f"COCO_{images}_{image_id:012d}.jpg", number // 2)
        kind, question, frequent, rare, answer_type = _question(number)
        number_of_question = 1000 * image_id + number % 2
        questions.append({"image_id": image_id, "question": question, "question_id": number_of_question})
        annotations.append(
            {
                "question_type": kind,
                "multiple_choice_answer": frequent,
                "answers": answers([rare, rare, *[frequent] * 6, rare, "i don't know"]),
                "image_id": image_id,
                "answer_type": answer_type,
                "question_id": number_of_question,
            }
        )
    write_questions(folder / f"v2_OpenEnded_mscoco_{subset}_questions.json", questions, subset)
    if not subset.startswith("test"):
        annotations.reverse()  # the order is not promised to be that of the questions
        write_annotations(folder / f"v2_mscoco_{subset}_annotations.json", annotations, subset)


def _question(number: int) -> tuple[str, str, str, str, str]:
    """Type, question, most frequent and another answer, and type of the answer."""
    form, tint = shape(number // 2), colour(number // 2)
    return (
        ("what color is the", f"What color is the {form}?", tint, f"dark {tint}", "other"),
        ("is the", f"Is the {form} {tint}?", "yes", "no", "yes/no"),
        ("how many", f"How many {form}s are there?", "1", "one.", "number"),
    )[number % 3]
