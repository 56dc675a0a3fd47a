"""Answers in the form of OpenAI's chat completions, whole and as server-sent events.

Beside OpenAI's fields, the last part of every answer has one of ours, `flamingo`: what the engine's `Done` says beyond
them, and how many of the oldest exchanges were not shown to the model.
"""

import dataclasses
import json
import math
import secrets
import time
from typing import Any

from flamingo_jax.serving.engine.events import Done

END = b"data: [DONE]\n\n"


@dataclasses.dataclass(frozen=True)
class Completion:
    """What all parts of one answer share.

    Attributes:
      model: its name.
      dropped: exchanges that were not shown to the model.
      include_usage: whether a stream ends with the usage.
    """

    model: str
    dropped: int
    include_usage: bool = False
    name: str = dataclasses.field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    created: int = dataclasses.field(default_factory=lambda: int(time.time()))

    def whole(self, text: str, done: Done) -> bytes:
        """The JSON of a complete answer."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": done.finish}
        answer = self._object("chat.completion", [choice])
        return json.dumps(answer | {"usage": usage(done), "flamingo": self._ours(done)}).encode()

    def first(self) -> bytes:
        """The event that begins a stream."""
        return self._event([_delta({"role": "assistant", "content": ""})])

    def more(self, text: str) -> bytes:
        """The event of a piece of text."""
        return self._event([_delta({"content": text})])

    def last(self, done: Done) -> bytes:
        """The events that end a stream."""
        events = self._event([_delta({}, done.finish)], flamingo=self._ours(done))
        if self.include_usage:
            events += self._event([], usage=usage(done))
        return events + END

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = self._object("chat.completion.chunk", choices)
        return event(chunk | ({"usage": None} if self.include_usage else {}) | more)

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.name, "object": kind, "created": self.created, "model": self.model, "choices": choices}

    def _ours(self, done: Done) -> dict[str, Any]:
        return {
            "dropped_turns": self.dropped,
            "log_likelihood": _number(done.log_likelihood),
            "abstained": done.abstained,
            "confidence": _number(done.confidence),
            "evidence": done.evidence and {name: _number(value) for name, value in done.evidence.to_dict().items()},
        }


def usage(done: Done) -> dict[str, int]:
    """OpenAI's counts of tokens."""
    total = done.prompt_tokens + done.completion_tokens
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": total,
    }


def event(content: dict[str, Any]) -> bytes:
    """A server-sent event."""
    return b"data: " + json.dumps(content).encode() + b"\n\n"


def _delta(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _number(value: Any) -> Any:
    """JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
