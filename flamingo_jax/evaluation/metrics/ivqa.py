"""Accuracy of open-ended video question answering: iVQA (several people's answers), MSVD-QA and MSRVTT-QA (one).

Follows the evaluation of Just Ask (Yang et al. 2021), which classifies among a closed vocabulary of answers: texts are
compared as they are, and an answer outside the vocabulary can never be right, while its question still counts.
"""

from collections import Counter
from collections.abc import Container, Sequence

_ENOUGH = 2  # so many people who agree make an answer fully right
# The official code reads the answers with pandas, to which these fields are missing values: they equal no prediction.
_NOTHING = {"", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null", "None"}
_NOT_A_NUMBER = {"NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
_MISSING = _NOTHING | _NOT_A_NUMBER


def ivqa_accuracy(prediction: str, answers: Sequence[str], vocabulary: Container[str] | None = None) -> float:
    """min(number of people who gave the predicted answer / 2, 1).

    Args:
      prediction: the predicted answer; nothing is normalized.
      answers: one for each person asked (five).
      vocabulary: the answers that can be right; all where None.

    Raises:
      ValueError: there is no answer.
    """
    if not answers:
        raise ValueError("iVQA accuracy needs at least one answer, and got none")
    if not _can_be_right(prediction, vocabulary):
        return 0.0
    return min(Counter(answers)[prediction] / _ENOUGH, 1.0)


def top1(prediction: str, answer: str, vocabulary: Container[str] | None = None) -> float:
    """1 if the prediction equals the answer and the vocabulary has it, else 0 (MSVD-QA, MSRVTT-QA)."""
    return float(prediction == answer and _can_be_right(prediction, vocabulary))


def _can_be_right(text: str, vocabulary: Container[str] | None) -> bool:
    return text not in _MISSING and (vocabulary is None or text in vocabulary)
