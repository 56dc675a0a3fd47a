"""What a ticket tells of its request: any number of `Delta`, and then one `Done` or `Failed`."""

import dataclasses

from flamingo_jax.evaluation.confidence.evidence import Evidence

# Why a request failed.
TIMEOUT = "timeout"  # it waited, or was answered, for too long
BAD_REQUEST = "bad_request"  # the model cannot be asked this
CANCELLED = "cancelled"  # nobody wants the answer any more
CLOSING = "closing"  # the engine was closed before
ERROR = "error"  # a fault of ours


@dataclasses.dataclass(frozen=True)
class Delta:
    """What is new of the answer; texts follow one another without anything between."""

    text: str


@dataclasses.dataclass(frozen=True)
class Done:
    """The answer is complete.

    Attributes:
      finish: "stop" or "length".
      prompt_tokens: of the prompt.
      completion_tokens: of the model's answer, the token that ended it included.
      log_likelihood: of them all, in nats.
      abstained: whether "I don't know." was said in its place.
      evidence: what the rule judged, where the request asked for it.
      confidence: what the rule made of it, 0 to 1.
    """

    finish: str
    prompt_tokens: int
    completion_tokens: int
    log_likelihood: float
    abstained: bool = False
    evidence: Evidence | None = None
    confidence: float | None = None


@dataclasses.dataclass(frozen=True)
class Failed:
    """There will be no (further) answer.

    Attributes:
      reason: one line for people.
      kind: "timeout", "bad_request", "cancelled", "closing" or "error".
    """

    reason: str
    kind: str


Event = Delta | Done | Failed
