"""A request's JSON as a request to the engine. All of this is work of threads, apart from the event loop."""

import dataclasses
from collections.abc import Mapping

from flamingo_jax.evaluation.fewshot.prompts import plain
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.serving.dialogue.prompt import Window, render
from flamingo_jax.serving.dialogue.style import Style
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.request import Busy, Refused, Request
from flamingo_jax.serving.engine.ticket import Ticket
from flamingo_jax.serving.openai.body import parse
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.errors import busy, invalid
from flamingo_jax.serving.openai.media import read_media, remote_urls
from flamingo_jax.serving.openai.messages import Messages, Reference, read_messages
from flamingo_jax.serving.openai.parameters import Parameters, read_parameters


@dataclasses.dataclass(frozen=True)
class Asked:
    """A request that is well-formed.

    Attributes:
      remote: the addresses that are to be fetched before it can be submitted.
    """

    parameters: Parameters
    messages: Messages
    style: Style
    remote: Mapping[str, Reference]


def read(body: bytes, config: ServerConfig) -> Asked:
    """Checks all that needs no picture.

    Raises:
      ApiError: what is wrong.
    """
    fields = parse(body)
    parameters = read_parameters(fields, config.model, config.usual_tokens, config.most_tokens)
    messages = read_messages(fields.get("messages"), config.messages)
    style = _with_system(config.style, messages.system)
    return Asked(parameters, messages, style, remote_urls(messages, config.allow_remote_urls))


def submit(asked: Asked, fetched: Mapping[str, bytes], engine: Engine, config: ServerConfig) -> tuple[Ticket, int]:
    """Puts a request into the engine's queue.

    Args:
      fetched: what the addresses have.

    Returns:
      The ticket, and how many of the oldest exchanges the model is not shown, for want of room.

    Raises:
      ApiError: a picture cannot be read, the messages do not fit, or the queue is full.
    """
    parameters, sampling = asked.parameters, asked.parameters.sampling
    media = read_media(asked.messages, fetched, config.uploads, config.messages.pixels)
    turns = tuple(
        Turn(each.text, tuple(media[reference.where] for reference in each.media), each.answer)
        for each in asked.messages.exchanges
    )
    try:
        window = Window(config.window_tokens, config.messages.media, sampling.max_new_tokens)
        rendered = render(Conversation(turns), asked.style, window, engine.check)
        sampling = dataclasses.replace(sampling, stops=(*sampling.stops, *asked.style.stops))
        request = Request(rendered.text, rendered.media, sampling, parameters.beams, parameters.abstain)
        return engine.submit(request), rendered.dropped
    except Refused as error:
        raise invalid(str(error)) from None
    except (PromptError, ValueError) as error:  # ValueError: the answer alone is longer than the window
        raise invalid(str(error), "messages", code="context_length_exceeded") from None
    except Busy as error:
        raise busy(error) from None


def held(request: Request) -> int:
    """Bytes that a request keeps until its answer ends: its text and its files, each once."""
    files = {id(medium.encoded): len(medium.encoded) for medium in request.media}
    return len(request.prompt_text) + sum(files.values())


def _with_system(style: Style, system: str) -> Style:
    """The style with the system's text in its opening.

    Raises:
      ApiError: the style has none.
    """
    if not system.strip():
        return style
    if not style.opening:
        raise invalid(
            f"a system message has no place in the style {style.name!r}, whose prompts are single questions: leave it "
            "out, or start the server with --style=dialogue",
            "messages",
        )
    return dataclasses.replace(style, opening=f"{style.opening}{plain(system.strip())}\n")
