"""VQA accuracy: an answer is right to the degree that other people gave it too, as VQAv2 scores it.

Follows the official evaluation of VQA (Antol et al. 2015, `PythonEvaluationTools/vqaEvaluation/vqaEval.py`), quirks
included, because published scores have them: what looks odd below decides scores.
`vqa_rules` has the rules of other sets.
"""

import re
from collections.abc import Sequence

_NUMBER_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_NUMBERS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_PERIODS = 32  # the official code passes the flag re.UNICODE, 32, where `re.sub` takes the number of replacements
_ENOUGH = 3  # so many other people's agreement makes an answer fully right

# For words that lack their apostrophe, or one of two. They are compared with lower-cased words, so that the official
# table's keys with capitals ("Id've", "I'dve", "Im", "Ive") never match and are left out.
_CONTRACTED = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't shan't should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've they'll
they're they've wasn't we've weren't what'll what're what's what've when's where'd where's where've who'd who'd've
who'll who's who've why'll why're why's won't would've wouldn't wouldn't've y'all you'd you'd've you'll you're you've
"""


def _contractions() -> dict[str, str]:
    """Words that lack an apostrophe, with what they become."""
    table = {}
    for word in _CONTRACTED.split():
        first, *rest = word.split("'")
        if len(rest) == 1:
            table[first + rest[0]] = word
        else:
            table |= {f"{first}{rest[0]}'{rest[1]}": word, f"{first}'{rest[0]}{rest[1]}": word}
    return table


_CONTRACTIONS = _contractions() | {
    "ow's'at": "'ow's'at",
    "'ows'at": "'ow's'at",
    "'ow'sat": "'ow's'at",
    "shed've": "she'd've",
    "she'dve": "she'd've",
    "wed've": "we'd've",
    "we'dve": "we'd've",
    "somebody'd": "somebodyd",  # the official table has this one the other way round
    "twas": "'twas",
    "yall'll": "y'all'll",
    "y'allll": "y'all'll",
    "yall'd've": "y'all'd've",
    "y'alld've": "y'all'd've",
    "y'all'dve": "y'all'd've",
}


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction in 0..1, as the official VQA evaluation scores it.

    For each of the (ten) answers, the share min(matches among the other answers / 3, 1); then the mean. Texts are
    normalized only if the answers are not all the same: where everybody gave the same answer, the prediction must equal
    it in case and punctuation.

    Args:
      prediction: the generated answer.
      answers: one for each person asked, repetitions included.

    Raises:
      ValueError: there is no answer.
    """
    prediction, answers = _stripped(prediction), [_stripped(answer) for answer in answers]
    if len(set(answers)) > 1:
        prediction, answers = normalize(prediction), [normalize(answer) for answer in answers]
    return agreement(prediction, answers)


def vqa_accuracy_always_normalized(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy in 0..1 as `vqa_accuracy`, but normalized also where all answers are the same (OpenFlamingo's code).

    Raises:
      ValueError: there is no answer.
    """
    return agreement(
        normalize(prediction, unicode_digits=True), [normalize(answer, unicode_digits=True) for answer in answers]
    )


def agreement(prediction: str, answers: Sequence[str]) -> float:
    """The accuracy in 0..1 of a prediction and answers in their final form: only equal strings match.

    Raises:
      ValueError: there is no answer.
    """
    if not answers:
        raise ValueError("VQA accuracy needs at least one answer, and got none")
    matches = sum(answer == prediction for answer in answers)
    counted = matches * min((matches - 1) / _ENOUGH, 1) if matches else 0
    return (counted + (len(answers) - matches) * min(matches / _ENOUGH, 1)) / len(answers)


def normalize(text: str, *, unicode_digits: bool = False) -> str:
    """The form in which answers are compared: no punctuation, lower case, digits for numbers, no articles.

    Args:
      text: an answer.
      unicode_digits: whether digits of other scripts count as digits beside a comma or after a period: not in the
        official evaluation, which runs in Python 2; in OpenFlamingo's, which runs in Python 3.
    """
    words = _without_marks(_stripped(text), re.UNICODE if unicode_digits else re.ASCII).lower().split()
    words = [_NUMBERS.get(word, word) for word in words]
    return " ".join(_CONTRACTIONS.get(word, word) for word in words if word not in _ARTICLES)


def _stripped(text: str) -> str:
    return text.replace("\n", " ").replace("\t", " ").strip()


def _without_marks(text: str, digits: re.RegexFlag) -> str:
    """Marks become spaces, or vanish if the text has one beside a space, or a comma between digits, anywhere."""
    vanish = re.search(r"\d,\d", text, digits) is not None
    cleaned = text
    for mark in _MARKS:
        beside_space = f"{mark} " in text or f" {mark}" in text
        cleaned = cleaned.replace(mark, "" if vanish or beside_space else " ")
    return re.sub(r"\.(?!\d)", "", cleaned, count=_PERIODS, flags=digits)
