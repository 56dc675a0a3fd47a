"""The workdir's rule of abstention, for prompts that stand alone."""

import logging

from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.evidence import Evidence, gather
from flamingo_jax.evaluation.confidence.meaning import same_meaning
from flamingo_jax.evaluation.confidence.rule import FILE, AbstentionRule
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.session import Answer, Session
from flamingo_jax.inference.stops import shown
from flamingo_jax.serving.engine.request import Request

_logger = logging.getLogger(__name__)


def open_rule(workdir: epath.Path, session: Session) -> AbstentionRule | None:
    """The workdir's rule; None if it has none, or that of another checkpoint, of which the log tells.

    Raises:
      ConfigError: its file is damaged, or the package that it needs is not installed.
    """
    path = epath.Path(workdir) / FILE
    if not path.exists():
        return None
    rule = AbstentionRule.load(path)
    try:
        rule.check_model(session)
    except ConfigError as error:
        _logger.warning("%s is not used: %s", path, error)
        return None
    try:
        same_meaning("a star", "a ring")  # what reads WordNet fails now, and not at the first request
    except ImportError as error:
        raise ConfigError(f"{path} is there, and what it needs is not: {error}") from error
    return rule


def unusable(rule: AbstentionRule | None) -> str:
    """Why the rule cannot judge an answer to a prompt that stands alone, one line; empty: it can."""
    if rule is None:
        return "this model has no rule of abstention: fit one with python -m flamingo_jax.abstain"
    if rule.ranked:
        return "this model's rule of abstention is for ranked candidates, and not for answers that are written"
    if "dispersion" in rule.signals:
        return "this model's rule of abstention needs the dispersion over orders of examples, and there are none here"
    return ""


def evidence_for(session: Session, rule: AbstentionRule, request: Request, answer: Answer) -> Evidence:
    """The evidence that the rule judges.

    It is of this request alone, so that the company it was answered in does not matter.

    Raises:
      PromptError, MediaError: as `Session.answers`.
    """
    (found,) = gather(
        session,
        [request.prompt],
        [answer],
        rule.gathering,
        decoding=Decoding(max_new_tokens=request.sampling.max_new_tokens),
        cut=lambda text: shown(text, request.sampling.stops, ended=True).text,
        names=[request.prompt_text],
    )
    return found
