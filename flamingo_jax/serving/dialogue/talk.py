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
from flamingo_jax.serving.uploads import picture_pixels

MOST_MEDIA = 48 * 2**20
"""Bytes of pictures and clips in a conversation, so that it fits into a file (`files.LARGEST`) and into memory."""
MOST_PIXELS = 750_000_000
"""Pixels of its pictures, so that the file is read again (`files.MOST_PIXELS`)."""


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
        """Asks, and gives the answer so far as often as it grows.

        It is empty twice before: when the question stands in the conversation, and when the model was asked. Between
        the two lies the wait for the device that compares examples.

        An answer that is not read to its end is stopped, and stays as it is. One that fails, or is stopped before its
        first word, leaves nothing behind.

        Raises:
          ChatError: there will be no answer; the message says why.
        """
        conversation, asking, asked, failed = self._submit(text, media), None, None, False
        try:
            yield ""
            asking, asked = self._chat.ask(conversation, settings)  # may wait for the device, so without the lock
            self._follow(asking, asked)
            yield ""
            yield from asking
        except ChatError:
            failed = True
            raise
        finally:
            self._end(asking, asked, failed)

    def _submit(self, text: str, media: Sequence[Image | Video]) -> Conversation:
        with self._lock:
            if self._closed or self.conversation.waits:
                raise ChatError("wait for the answer, or stop it, before you ask again")
            files = [medium.encoded for turn in self.conversation.turns for medium in turn.media]
            files += [medium.encoded for medium in media]
            if sum(map(len, files)) > MOST_MEDIA:
                raise ChatError(
                    f"a conversation holds up to {MOST_MEDIA >> 20} MB of pictures and clips: begin a new one"
                )
            if sum(map(picture_pixels, files)) > MOST_PIXELS:
                raise ChatError(
                    f"the pictures of a conversation have up to {MOST_PIXELS:,} pixels together: begin a new one, or "
                    "send smaller ones"
                )
            try:
                conversation = self.conversation.asked(text, tuple(media))
            except ValueError as error:
                raise ChatError(str(error)) from error
            self.conversation, self._stopped = conversation, False
            self._before = self.dropped, self.tokens
        return conversation

    def _follow(self, asking: Asking, asked: Asked) -> None:
        """From now on `stop` ends this answer; at once, if it was called meanwhile."""
        with self._lock:
            self._asking, self.dropped, self.tokens = asking, asked.dropped, asking.rendered.tokens
            if self._closed or self._stopped:
                asking.stop()

    def _end(self, asking: Asking | None, asked: Asked | None, failed: bool) -> None:
        """Keeps an answer as far as it goes; None: the model was not asked."""
        if asking is not None:
            asking.stop()
        with self._lock:
            self._asking = None
            wordless = asking is None or (asking.finish == STOPPED and not asking.text)
            if failed or wordless:  # no answer at all would mislead the next one
                self.conversation = self.conversation.withdrawn()
                self.dropped, self.tokens = self._before
                return
            abstained = asking.done is not None and asking.done.abstained
            self.conversation = self.conversation.answered(asking.text)
            self.asked += (dataclasses.replace(asked, finish=asking.finish, abstained=abstained),)
            self.done += (asking.done,)

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
