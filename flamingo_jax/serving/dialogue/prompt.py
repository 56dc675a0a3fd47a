"""A conversation as a prompt, as much of it as the model can see."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from flamingo_jax.data.document import Image, Video
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.serving.dialogue.style import Style
from flamingo_jax.serving.dialogue.turns import Conversation, Turn

_MOST_IMAGES = 33  # the paper's models saw 32 examples and a query at most (appendix A.2)


@dataclasses.dataclass(frozen=True)
class Window:
    """How much the model sees.

    Attributes:
      tokens: of the prompt and the answer together. The context that the language model was trained with
        (`DecoderConfig.max_length`) is the sensible value.
      images: pictures and clips of a prompt.
      answer: tokens that are kept free for the answer.

    Raises:
      ValueError: a number is out of range.
    """

    tokens: int
    images: int = _MOST_IMAGES
    answer: int = 64

    def __post_init__(self):
        if self.answer < 1 or self.images < 0:
            raise ValueError(f"Window: an answer has 1 token or more, and images are 0 or more; got {self}")
        if self.tokens <= self.answer:
            raise ValueError(
                f"Window: an answer of up to {self.answer} tokens leaves no room for a prompt in {self.tokens}: "
                "let answers be shorter"
            )


class Rendered(NamedTuple):
    """What is asked of the model.

    Attributes:
      text: with `<image>` and `<EOC>` tags.
      media: of its tags, in order.
      dropped: how many of the conversation's turns, its oldest, are not in it.
      tokens: of the prompt.
    """

    text: str
    media: tuple[Image | Video, ...]
    dropped: int
    tokens: int

    @property
    def prompt(self) -> Prompt:
        """As `Session` takes it."""
        return self.text, self.media


def render(
    conversation: Conversation,
    style: Style,
    window: Window,
    session_check: Callable[[Prompt, int], int],
    examples: Sequence[Turn] = (),
) -> Rendered:
    """The prompt that asks for the answer to the last turn: opening, examples, turns.

    Whole turns are left out, the oldest first, until the prompt and its answer fit into the window.

    Args:
      session_check: `Session.check`: (prompt, tokens that follow) -> tokens of the prompt; PromptError if it cannot be
        asked.
      examples: answered turns that stand before the conversation and are never left out.

    Raises:
      PromptError: the last turn does not fit even alone; the message says what to do.
      ValueError: no turn waits for an answer.
    """
    if not conversation.waits:
        raise ValueError("no turn waits for an answer")
    turns = conversation.turns
    refusal: PromptError | None = None
    for dropped in range(len(turns)):
        text, media = _written(turns[dropped:], style, examples)
        try:
            tokens = session_check((text, media), window.answer)
        except PromptError as error:  # positions that are learned end where they end
            refusal, tokens = error, None
        if tokens is not None and tokens + window.answer <= window.tokens and len(media) <= window.images:
            return Rendered(text, media, dropped, tokens)
    raise PromptError(_too_much(media, tokens, window, examples)) from refusal


def _written(turns: Sequence[Turn], style: Style, examples: Sequence[Turn]) -> tuple[str, tuple[Image | Video, ...]]:
    shown = (*examples, *turns[:-1])
    text = style.opening + "".join(map(style.says, shown)) + style.asks(turns[-1])
    return text, tuple(medium for turn in (*shown, turns[-1]) for medium in turn.media)


def _too_much(media: Sequence, tokens: int | None, window: Window, examples: Sequence[Turn]) -> str:
    """What is wrong with a turn that does not fit alone, and what to do about it."""
    beside = f" with {len(examples)} examples before it" if examples else ""
    fewer = ", or show fewer examples" if examples else ""
    if len(media) > window.images:
        return f"this message{beside} has {len(media)} pictures, and the model takes {window.images}: send fewer{fewer}"
    length = "too many tokens" if tokens is None else f"{tokens} tokens"
    return (
        f"this message{beside} has {length}, and its answer up to {window.answer}: the model's window holds "
        f"{window.tokens}. Write less, let answers be shorter{fewer}"
    )
