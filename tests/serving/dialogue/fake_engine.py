"""An engine without a model: it answers in the real one's events, from a script."""

import itertools
import threading
import time
import types
from collections.abc import Callable

from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.engine.events import Delta, Done, Failed
from flamingo_jax.serving.engine.request import Request
from flamingo_jax.serving.engine.ticket import Ticket


class FakeEngine:
    """Answers each request with `say(request)`, a word every `pause` seconds."""

    def __init__(self, say: Callable[[Request], str] | None = None, pause: float = 0.0):
        self.requests: list[Request] = []
        self.tickets: list[Ticket] = []
        self.ended: list[Done | Failed] = []
        self.refusal: Exception | None = None
        self.failure: Failed | None = None
        self.abstained = False
        self.errands = 0
        self._count = itertools.count(1)
        self.say = say or (lambda request: f"Answer {next(self._count)} about {len(request.media)} pictures.")
        self.pause = pause

    def submit(self, request: Request) -> Ticket:
        """As `Engine.submit`."""
        if self.refusal:
            raise self.refusal
        ticket = Ticket(request, len(request.prompt_text), lambda _, event: self.ended.append(event))
        self.requests.append(request)
        self.tickets.append(ticket)
        threading.Thread(target=self._answer, args=(ticket,), daemon=True).start()
        return ticket

    def run(self, errand: Callable[[], object]):
        """As `Engine.run`, in the caller's thread."""
        self.errands += 1
        return errand()

    def _answer(self, ticket: Ticket) -> None:
        if self.failure:
            ticket.put(self.failure)
            return
        words = self.say(ticket.request).split(" ")
        for place, word in enumerate(words):
            if ticket.ended:
                return
            ticket.put(Delta(word if place == 0 else f" {word}"))
            time.sleep(self.pause)
        ticket.put(Done("stop", len(ticket.request.prompt_text), len(words), -1.0, self.abstained))


# A folder of examples, to be compared with on the device, of which none is like what is asked.
UNLIKE = types.SimpleNamespace(turns=(None,), nearest=lambda conversation, shots: ())


def letters(prompt, more: int) -> int:
    """In place of `Session.check`: a token a letter."""
    return len(prompt[0])


def fake_chat(engine: FakeEngine, tokens: int = 4096, images: int = 8, **more) -> Chat:
    """A chat with it."""
    return Chat(engine.submit, engine.run, letters, tokens, images, **more)
