"""One user's conversation while it goes on."""

import dataclasses
import threading
from collections.abc import Iterator, Sequence

from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.dialogue.chat import STOPPED, Asking, Chat, ChatError
from flamingo_jax.serving.dialogue.files import Asked, Saved
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.turns import Conversation
from flamingo_jax.serving.engine.events import Done

MOST_MEDIA = 48 * 2**20
"""Bytes of pictures and clips in a conversation, so that it fits into a file (`files.LARGEST`) and into memory."""


class Talk:
    """A conversation that is asked and answered, by one user at a time; `stop` may come from any thread.

    Attributes:
      conversation: so far.
      asked: how each of its turns was asked.
      dropped: how many of its turns the model did not see at the last question.
      tokens: of the prompt of the last question.
      done: what the engine said of each answer; None: it was stopped, or comes from a file.
    """

    def __init__(self, chat: Chat):
        self._chat = chat
        self._lock = threading.Lock()
        self._asking: Asking | None = None
        self._closed = self._stopped = False
        self._before = 0, 0  # dropped and tokens, while there is a question
        self._begin(Saved(Conversation(), ()))

    def _begin(self, saved: Saved) -> None:
        self.conversation, self.asked = saved.conversation, saved.asked
        self.dropped = saved.asked[-1].dropped if saved.asked else 0
        self.tokens = 0
        self.done: tuple[Done | None, ...] = (None,) * len(saved.asked)

    def ask(self, text: str, media: Sequence[Image | Video], settings: Settings) -> Iterator[str]:
        """Asks, and gives the answer so far as often as it grows; the first is empty, when the model was asked.

        An answer that is not read to its end is stopped, and stays as it is. One that fails, or is stopped before its
        first word, leaves nothing behind.

        Raises:
          ChatError: there will be no answer; the message says why.
        """
        asking, asked = self._submit(text, media, settings)
        failed = False
        try:
            yield ""
            yield from asking
        except ChatError:
            failed = True
            raise
        finally:
            asking.stop()
            self._end(asking, asked, failed)

    def _submit(self, text: str, media: Sequence[Image | Video], settings: Settings) -> tuple[Asking, Asked]:
        with self._lock:
            if self._closed or self.conversation.waits:
                raise ChatError("wait for the answer, or stop it, before you ask again")
            sent = [medium for turn in self.conversation.turns for medium in turn.media]
            if sum(len(medium.encoded) for medium in (*sent, *media)) > MOST_MEDIA:
                raise ChatError(
                    f"a conversation holds up to {MOST_MEDIA >> 20} MB of pictures and clips: begin a new one"
                )
            try:
                conversation = self.conversation.asked(text, tuple(media))
            except ValueError as error:
                raise ChatError(str(error)) from error
            self.conversation, self._stopped = conversation, False
            self._before = self.dropped, self.tokens
        try:
            asking, asked = self._chat.ask(conversation, settings)  # may wait for the device, so without the lock
        except BaseException:
            with self._lock:
                self._withdraw()
            raise
        with self._lock:
            self._asking, self.dropped, self.tokens = asking, asked.dropped, asking.rendered.tokens
            if self._closed or self._stopped:
                asking.stop()
        return asking, asked

    def _end(self, asking: Asking, asked: Asked, failed: bool) -> None:
        """Keeps an answer as far as it goes."""
        with self._lock:
            self._asking = None
            if failed or (asking.finish == STOPPED and not asking.text):  # no answer at all would mislead the next one
                self._withdraw()
                return
            abstained = asking.done is not None and asking.done.abstained
            self.conversation = self.conversation.answered(asking.text)
            self.asked += (dataclasses.replace(asked, finish=asking.finish, abstained=abstained),)
            self.done += (asking.done,)

    def _withdraw(self) -> None:
        self.conversation = self.conversation.withdrawn()
        self.dropped, self.tokens = self._before

    def stop(self) -> None:
        """Ends the answer on its way, if there is one; what there is of it stays."""
        self._stopped = True  # for one that is about to be asked for
        asking = self._asking
        if asking is not None:
            asking.stop()

    def close(self) -> None:
        """Ends the answer on its way; nothing can be asked any more."""
        with self._lock:
            self._closed = True
            self.stop()

    def begin(self, saved: Saved | None = None) -> None:
        """Begins anew, or goes on with a saved conversation.

        Raises:
          ChatError: an answer is on its way.
        """
        with self._lock:
            if self.conversation.waits:
                raise ChatError("wait for the answer, or stop it, before you begin another conversation")
            self._begin(saved or Saved(Conversation(), ()))

    @property
    def saved(self) -> Saved:
        """All that was answered."""
        with self._lock:
            return Saved(self.conversation.withdrawn(), self.asked)
