"""Pairs of files in the format of the VQA API, as VQAv2 and OK-VQA have them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_INFO = {
    "description": "a small release for tests",
    "url": "",
    "version": "2.0",
    "year": 2017,
    "contributor": "",
    "date_created": "2017-04-26 17:07:13",
}
_LICENSE = {"url": "http://creativecommons.org/licenses/by/4.0/", "name": "Creative Commons Attribution 4.0"}


def write_questions(path: Path, questions: Sequence[dict[str, Any]], subset: str) -> None:
    """Writes a file of questions: `image_id`, `question` and `question_id` of each."""
    head = {"info": _INFO, "task_type": "Open-Ended", "data_type": "mscoco", "license": _LICENSE}
    path.write_text(json.dumps({**head, "data_subtype": subset, "questions": list(questions)}), encoding="utf-8")


def write_annotations(path: Path, annotations: Sequence[dict[str, Any]], subset: str) -> None:
    """Writes a file of annotations."""
    head = {"info": _INFO, "license": _LICENSE, "data_subtype": subset, "data_type": "mscoco"}
    path.write_text(json.dumps({**head, "annotations": list(annotations)}), encoding="utf-8")


def answers(texts: Sequence[str], name: str = "answer") -> list[dict[str, Any]]:
    """The records of answers, numbered from 1."""
    sure = ("yes", "maybe", "no")
    return [
        {name: text, "answer_confidence": sure[place % 3], "answer_id": place + 1} for place, text in enumerate(texts)
    ]
