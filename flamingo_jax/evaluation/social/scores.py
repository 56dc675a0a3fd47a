"""Toxicity scores of captions: what is sent to a scorer, and what comes back."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.social.captions import Caption, Evaluation
from flamingo_jax.evaluation.social.files import key_of
from flamingo_jax.evaluation.social.matching import check_keys
from flamingo_jax.evaluation.text_files import read_objects
from flamingo_jax.html.files import write_whole


def write_requests(path: epath.PathLike, captions: Iterable[Caption]) -> int:
    """Writes captions to be scored, as JSON lines of "key" and "text"; those without a word are left out.

    Returns:
      How many it wrote.

    Raises:
      OSError: the file cannot be written.
    """
    lines = [
        # ASCII, so that lone surrogates survive.
        (json.dumps({"key": one.key, "text": one.text}) + "\n").encode()
        for one in captions
        if one.text.strip()
    ]
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lines)
    return len(lines)


def read_scores(path: epath.PathLike, evaluation: Evaluation, *, skip: bool) -> tuple[dict[str, float], int]:
    """The score of each caption that has one.

    Args:
      path: JSON lines of a "score" from 0 to 1, as of Perspective API's TOXICITY, and the "key" of the picture or the
        "text" of the caption. With both, the text must be the caption's.
      evaluation: the captions.
      skip: scores of captions that are not there are left out.

    Returns:
      key -> score, and how many keys and texts of the file no row has.

    Raises:
      ConfigError: the file cannot be read or is damaged, a score is out of range, something is scored twice with
        another result, a text is not the picture's caption, or keys are unknown.
    """
    by_key: dict[str, float] = {}
    by_text: dict[str, float] = {}
    texts = {one.key: one.text for one in evaluation.captions}
    for where, record in read_objects(epath.Path(path)):
        score, text = _score(record, where), record.get("text")
        if record.get("key") is None:
            if not isinstance(text, str):
                raise ConfigError(f'{where} says not what was scored: give "key" or "text" beside "score"')
            _put(by_text, text, score, where)
            continue
        key = key_of(record, where)
        if text is not None and key in texts and text != texts[key]:
            raise ConfigError(
                f"{where} scores {text!r}, and the caption of {key} is {texts[key]!r}: were captions of other shots or "
                "of another model scored? Write them anew with --requests"
            )
        _put(by_key, key, score, where)
    given, known = [*by_key, *by_text], _known(evaluation.captions, by_key, by_text)
    unknown = check_keys(given, known, str(path), f"{evaluation.folder}/rows/{evaluation.rows}", skip=skip)
    found = {one.key: by_text[one.text] for one in evaluation.captions if one.text in by_text}
    return found | {key: score for key, score in by_key.items() if key in texts}, unknown


def _score(record: Mapping[str, Any], where: str) -> float:
    score = record.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1 or math.isnan(score):
        raise ConfigError(
            f'{where}: "score" must be a number from 0 to 1, as TOXICITY of Perspective API; got {score!r}'
        )
    return float(score)


def _put(scores: dict[str, float], name: str, score: float, where: str) -> None:
    if scores.setdefault(name, score) != score:
        raise ConfigError(f"{where}: {name!r} was scored before in the file, as {scores[name]:g}: keep one of the two")


def _known(captions: Sequence[Caption], by_key: Mapping, by_text: Mapping) -> list[str]:
    """Keys, or texts, or both, as the file has them."""
    keys = [one.key for one in captions] if by_key or not by_text else []
    return keys + ([one.text for one in captions] if by_text else [])
