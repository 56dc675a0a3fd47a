"""The fields of a chat request beside its messages."""

import dataclasses
import secrets
from typing import Any

from flamingo_jax.config import ConfigError
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.buckets import bucket
from flamingo_jax.serving.openai.errors import ApiError, invalid, quoted
from flamingo_jax.serving.openai.fields import flag, number, whole

_SEEDS = 2**32
_MOST_STOPS, _LONGEST_STOP = 4, 200  # OpenAI's number; characters
_MOST_BEAMS = 8
_READ = ("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature")
_READ += ("top_p", "top_k", "seed", "stop", "beams", "abstain")
# They change nothing in the answer.
_HARMLESS = ("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
_HARMLESS += ("prompt_cache_retention", "parallel_tool_calls", "prediction")
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "reasoning_effort": ("none",),
    "verbosity": (),
    "web_search_options": (),
}
"""OpenAI's fields that this server cannot obey -> the values that ask for nothing."""


@dataclasses.dataclass(frozen=True)
class Parameters:
    """How a request is to be answered.

    Attributes:
      sampling: the client's own stop texts alone.
      stream, include_usage: see OpenAI's reference of `stream` and `stream_options`.
      beams, abstain: see `engine.request.Request`.
    """

    sampling: Sampling
    stream: bool
    include_usage: bool
    beams: int
    abstain: bool


def read_parameters(body: dict[str, Any], model: str, usual_tokens: int, most_tokens: int) -> Parameters:
    """Checks and reads all fields but the messages.

    Args:
      model: the only one that there is.
      usual_tokens: of an answer where the request does not say; `most_tokens`: that it may ask for.

    Raises:
      ApiError: 404, another model; 400, a field is unknown, of the wrong kind, out of range, or asks for what cannot be
        done.
    """
    _refuse_others(body)
    asked = body.get("model")
    if not isinstance(asked, str):
        raise invalid(f"model is {quoted(asked)}: it is the text {model!r}", "model")
    if asked != model:
        raise ApiError(404, f"there is no model {quoted(asked)}, but {model!r}", "model", code="model_not_found")
    options = _options(body)
    tokens = [whole(body, name, 1, most_tokens) for name in ("max_completion_tokens", "max_tokens")]
    if None not in tokens and tokens[0] != tokens[1]:
        raise invalid("max_tokens and max_completion_tokens differ: give one of them", "max_tokens")
    seed = whole(body, "seed", -(2**63), 2**63 - 1)
    temperature, top_p = number(body, "temperature", 0, 2, 0.0), number(body, "top_p", 0, 1, 1.0)
    if top_p == 0:  # of no share of the probability, the likeliest token is left
        temperature, top_p = 0.0, 1.0
    try:
        sampling = Sampling(
            max_new_tokens=tokens[0] or tokens[1] or usual_tokens,
            temperature=temperature,
            top_k=whole(body, "top_k", 0, 2**31 - 1) or 0,
            top_p=top_p,
            seed=secrets.randbelow(_SEEDS) if seed is None else seed % _SEEDS,
            stops=_stops(body),
        )
    except ConfigError as error:
        raise invalid(str(error)) from None
    beams, abstain = whole(body, "beams", 1, _MOST_BEAMS) or 1, flag(body, "abstain")
    if beams > 1 or abstain:
        _check_length(sampling.max_new_tokens, usual_tokens, most_tokens)
    return Parameters(sampling, flag(body, "stream"), options, beams, abstain)


def _check_length(tokens: int, usual: int, most: int) -> None:
    """Raises ApiError but for a few lengths: searches and samples compile a program for each, and all others wait."""
    if tokens not in (bucket(tokens), usual, most):
        raise invalid(
            f"with beams or abstain, max_tokens is 1, 2, 3, 4, 6, 8, 12, 16, 24, ..., or {most}, and not {tokens}: "
            f"each length is a program of its own; the next is {min(bucket(tokens), most)}",
            "max_tokens",
        )


def _refuse_others(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name in _READ or name in _HARMLESS or value is None:
            continue
        if name not in _NEUTRAL:
            raise invalid(f"there is no field {quoted(name)}", name[:60], code="unknown_parameter")
        if not any(type(value) is type(each) and value == each for each in _both_kinds(_NEUTRAL[name])):
            raise invalid(f"{name} is not supported by this server: leave it out", name, code="unsupported_parameter")


def _both_kinds(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Numbers also as floats: 0.0 is 0."""
    return (*values, *(float(value) for value in values if type(value) is int))


def _options(body: dict[str, Any]) -> bool:
    """Whether a stream ends with the usage."""
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not body.get("stream"):
        raise invalid("stream_options is an object, and for streams alone", "stream_options")
    for name in options:
        if name not in ("include_usage", "include_obfuscation"):
            raise invalid(f"stream_options has no field {quoted(name)}", "stream_options")
    return flag(options, "include_usage")


def _stops(body: dict[str, Any]) -> tuple[str, ...]:
    value = body.get("stop")
    texts = [] if value is None else [value] if isinstance(value, str) else value
    if (
        not isinstance(texts, list)
        or len(texts) > _MOST_STOPS
        or not all(isinstance(text, str) and 0 < len(text) <= _LONGEST_STOP for text in texts)
    ):
        raise invalid(f"stop is a text or up to {_MOST_STOPS} of them, of 1 to {_LONGEST_STOP} characters", "stop")
    return tuple(texts)
