"""A conversation about pictures and clips, as a value: every step makes a new one."""

import dataclasses

from flamingo_jax.data.document import Image, Video


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """One exchange.

    Attributes:
      text: what the user wrote; may be empty where there are media.
      media: what the user sent with it, in order.
      answer: the model's; None: it is to be given. The empty text is an answer, too: that of a model with nothing to
        say.

    Raises:
      ValueError: the user sent nothing, or half of a character.
    """

    text: str
    media: tuple[Image | Video, ...] = ()
    answer: str | None = None

    def __post_init__(self):
        if not self.text.strip() and not self.media:
            raise ValueError("a turn has neither text nor media: write something, or send a picture")
        try:
            f"{self.text}{self.answer or ''}".encode()
        except UnicodeEncodeError as error:
            raise ValueError("the text has half of a character, which cannot be written (a lone surrogate)") from error


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
    """Turns from the first to the last.

    Raises:
      ValueError: a turn before the last has no answer.
    """

    turns: tuple[Turn, ...] = ()

    def __post_init__(self):
        open_turns = [place for place, turn in enumerate(self.turns[:-1]) if turn.answer is None]
        if open_turns:
            raise ValueError(f"turn {open_turns[0] + 1} of {len(self.turns)} has no answer, and others follow it")

    @property
    def waits(self) -> bool:
        """Whether the last turn has no answer yet."""
        return bool(self.turns) and self.turns[-1].answer is None

    def asked(self, text: str, media: tuple[Image | Video, ...] = ()) -> "Conversation":
        """With one more turn, which waits for its answer.

        Raises:
          ValueError: the last turn waits already; or as `Turn`.
        """
        return Conversation((*self.turns, Turn(text, tuple(media))))

    def answered(self, text: str) -> "Conversation":
        """With the answer to the last turn, in place of the one that it may have.

        Raises:
          ValueError: there is no turn.
        """
        if not self.turns:
            raise ValueError("nothing was asked, so there is nothing to answer")
        return Conversation((*self.turns[:-1], dataclasses.replace(self.turns[-1], answer=text)))

    def withdrawn(self) -> "Conversation":
        """Without the last turn if it waits: an answer that failed leaves nothing behind."""
        return Conversation(self.turns[:-1]) if self.waits else self
