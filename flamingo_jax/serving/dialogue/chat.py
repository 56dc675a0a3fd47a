"""Asking the model, for one conversation or many: what the page, the terminal and a replay have in common."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from flamingo_jax.config import ConfigError
from flamingo_jax.data.errors import MediaError
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.serving.dialogue.files import Asked
from flamingo_jax.serving.dialogue.prompt import Rendered, Window, render
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.support import Support
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from flamingo_jax.serving.engine.events import CANCELLED, Delta, Done, Failed
from flamingo_jax.serving.engine.request import Busy, Refused, Request
from flamingo_jax.serving.engine.ticket import Ticket

STOPPED = "stopped"
"""How an answer ended that the user stopped."""


class ChatError(ValueError):
    """A question gets no answer; the message is one line for the user."""


class Asking:
    """An answer on its way.

    Attributes:
      rendered: what the model was asked.
      text: of the answer so far.
      done: the engine's last word; None: the answer goes on, or was stopped.
      finish: "stop", "length" or "stopped".
    """

    def __init__(self, rendered: Rendered, ticket: Ticket):
        self.rendered, self.text = rendered, ""
        self.done: Done | None = None
        self.finish = STOPPED
        self._ticket = ticket

    def __iter__(self) -> Iterator[str]:
        """The answer so far, as often as it grows.

        Raises:
          ChatError: it failed.
        """
        try:
            for event in self._ticket:
                if isinstance(event, Delta):
                    self.text += event.text
                    yield self.text
                elif isinstance(event, Done):
                    self.done, self.finish = event, event.finish
                elif isinstance(event, Failed) and event.kind != CANCELLED:
                    raise ChatError(event.reason)
        finally:
            self.stop()

    def stop(self) -> None:
        """Ends the answer where it is; nothing if it has ended."""
        self._ticket.cancel()


@dataclasses.dataclass(frozen=True)
class Chat:
    """Who answers.

    Attributes:
      submit, run: of an `Engine`.
      check: `Session.check`.
      tokens, images: of the model's window.
      support: examples to show; None: there are none.
      abstains: whether there is a rule for answers that are not to be trusted.
    """

    submit: Callable[[Request], Ticket]
    run: Callable[[Callable[[], tuple[Turn, ...]]], tuple[Turn, ...]]
    check: Callable[[Prompt, int], int]
    tokens: int
    images: int
    support: Support | None = None
    abstains: bool = False

    def ask(
        self, conversation: Conversation, settings: Settings, examples: Sequence[Turn] | None = None
    ) -> tuple[Asking, Asked]:
        """Asks for the answer to the last turn, and says how.

        Args:
          examples: to show; None: those of the support folder that are most alike, as many as the settings say.

        Raises:
          ChatError: it cannot be asked, or not now.
        """
        if settings.abstain and not self.abstains:
            raise ChatError("this model has no rule for when to say that it does not know: turn abstention off")
        if settings.shots and examples is None and self.support is None:
            raise ChatError("there is no support folder to take examples from: set shots to 0")
        try:
            window = Window(self.tokens, self.images, settings.answer_tokens)
            if examples is None:
                examples = self._nearest(conversation, settings.shots)
            rendered = render(conversation, settings.way, window, self.check, examples)
            request = Request(rendered.text, rendered.media, settings.sampling, settings.beams, settings.abstain)
            ticket = self.submit(request)
        except Busy as error:
            raise ChatError(f"{error.reason}. Try again in {max(1, round(error.retry_after))} s") from error
        except (PromptError, MediaError, Refused, ConfigError, ValueError) as error:
            raise ChatError(str(error)) from error
        asked = Asked(settings, self.tokens, self.images, tuple(examples), rendered.dropped)
        return Asking(rendered, ticket), asked

    def _nearest(self, conversation: Conversation, shots: int) -> tuple[Turn, ...]:
        """Examples of the support folder. To compare them, the device encodes the conversation's last picture."""
        return self.run(lambda: self.support.nearest(conversation, shots)) if shots else ()
