"""Who has the page open: each tab has a conversation of its own."""

import collections
import shutil
import tempfile
import threading
from pathlib import Path

from flamingo_jax.serving.dialogue.chat import Chat, ChatError
from flamingo_jax.serving.dialogue.talk import Talk

MOST = 64
"""Conversations that are kept at a time; beyond, the one that was idle longest is forgotten."""


class Visitor:
    """One tab.

    Attributes:
      talk: its conversation.
      folder: for files that it may download.
    """

    def __init__(self, chat: Chat, folder: Path):
        self.talk = Talk(chat)
        self.folder = Path(tempfile.mkdtemp(dir=folder))

    def leave(self) -> None:
        """Ends its answer and deletes its files."""
        self.talk.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Visitors:
    """All tabs, by the name that the library gives each."""

    def __init__(self, chat: Chat, folder: Path):
        self._chat, self._folder = chat, folder
        self._lock = threading.Lock()
        self._known: collections.OrderedDict[str, Visitor] = collections.OrderedDict()

    def __call__(self, name: str | None) -> Visitor:
        """The visitor of this name, new if need be.

        Raises:
          ChatError: there is no name.
        """
        if not name:
            raise ChatError("this request belongs to no open page: load the page again")
        forgotten = []
        with self._lock:
            if name not in self._known:
                self._known[name] = Visitor(self._chat, self._folder)
            self._known.move_to_end(name)
            while len(self._known) > MOST:
                forgotten.append(self._known.popitem(last=False)[1])
            found = self._known[name]
        for visitor in forgotten:
            visitor.leave()
        return found

    def leaves(self, name: str | None) -> None:
        """The tab was closed."""
        with self._lock:
            visitor = self._known.pop(name or "", None)
        if visitor is not None:
            visitor.leave()

    def close(self) -> None:
        """Everybody leaves."""
        for name in list(self._known):
            self.leaves(name)

    def __len__(self) -> int:
        return len(self._known)
