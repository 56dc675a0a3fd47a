"""The page with an engine that follows a script, on a free port."""

import contextlib
from collections.abc import Iterator

from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.uploads import DEFAULT, Limits
from flamingo_jax.serving.web.page import Shown
from flamingo_jax.serving.web.serve import served


@contextlib.contextmanager
def opened(chat: Chat, limits: Limits = DEFAULT, name: str = "quickstart") -> Iterator[str]:
    """Gives the page's address, without the last slash."""
    shown = Shown(name, 2000, Settings(style="questions"))
    with served(chat, shown, "127.0.0.1", 0, limits) as address:
        yield address.rstrip("/")
