"""VQA accuracy by the rules of VizWiz, TextVQA and OpenFlamingo, which differ in what is brought to a normal form."""

import re
from collections.abc import Sequence

from flamingo_jax.evaluation.metrics.vqa import agreement, normalize, vqa_accuracy_always_normalized

_CUTS = re.compile("Question|Answer|Short")


def vizwiz_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction in 0..1 by VizWiz's own rule: the prediction is normalized, the answers never are.

    Follows `vqaEval.py` of VizWiz's API. Two copies of it have other apostrophes in their table of contractions, curly
    ones and backticks, with which no contraction of an annotator would match; straight ones are used here, as in the
    official VQA evaluation.

    Raises:
      ValueError: there is no answer.
    """
    return agreement(normalize(prediction, unicode_digits=True), answers)


def textvqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction in 0..1 as MMF scores TextVQA (`EvalAIAnswerProcessor`).

    Prediction and answers are lower-cased, lose every comma and question mark, and have a space put before each 's;
    then they are normalized, always.

    Raises:
      ValueError: there is no answer.
    """
    return agreement(_as_mmf(prediction), [_as_mmf(answer) for answer in answers])


def openflamingo_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction in 0..1 as OpenFlamingo scores VQAv2, VizWiz and TextVQA: cut, then normalized always.

    Raises:
      ValueError: there is no answer.
    """
    return vqa_accuracy_always_normalized(cut(prediction), answers)


def cut(prediction: str) -> str:
    """What stands before any of "Question", "Answer" and "Short", in this case, and then before a comma and space.

    OpenFlamingo's evaluation (`postprocess_vqa_generation`) does so on all of its sets of questions.
    """
    return _CUTS.split(prediction, maxsplit=1)[0].split(", ", 1)[0]


def _as_mmf(text: str) -> str:
    plain = text.lower().replace(",", "").replace("?", "").replace("'s", " 's")
    return normalize(plain, unicode_digits=True)
