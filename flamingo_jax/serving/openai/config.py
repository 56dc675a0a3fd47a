"""What the server takes, and how it asks the model."""

import dataclasses
import math

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue.style import QUESTIONS, Style
from flamingo_jax.serving.openai.keys import usable
from flamingo_jax.serving.openai.messages import MessageLimits
from flamingo_jax.serving.uploads import Limits


@dataclasses.dataclass(frozen=True)
class ServerConfig:
    """The server's settings.

    Attributes:
      model: the name that clients call it by.
      style: how conversations are written for it.
      window_tokens: of a prompt and its answer.
      usual_tokens: of an answer where the request does not say.
      most_tokens: of an answer that a request may ask for.
      body_bytes: of a request; `held_bytes`: of all that are read or answered at a time, and what is fetched for them.
      body_s: seconds that a request may take to arrive; `send_s`: that a client may leave an answer unread.
      messages, uploads: limits of a request's content.
      allow_remote_urls: whether pictures are fetched from the web; each within `fetch_s` seconds.
      keys: of which a client must show one; none: all may ask.
      hosts: names that clients may call the server by, without a port; none: any. A page of the web can have a name of
        its own lead to this machine, and then counts as a page of the server for browsers.

    Raises:
      ConfigError: a value is out of range.
    """

    model: str
    style: Style = QUESTIONS
    window_tokens: int = 2048
    usual_tokens: int = 64
    most_tokens: int = 512
    body_bytes: int = 32_000_000
    held_bytes: int = 256_000_000
    body_s: float = 30.0
    send_s: float = 30.0
    messages: MessageLimits = dataclasses.field(default_factory=MessageLimits)
    uploads: Limits = dataclasses.field(default_factory=Limits)
    allow_remote_urls: bool = False
    fetch_s: float = 10.0
    keys: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    hosts: tuple[str, ...] = ()

    def __post_init__(self):
        for name in ("window_tokens", "usual_tokens", "most_tokens", "body_bytes", "held_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"ServerConfig.{name} must be 1 or more, got {getattr(self, name)}")
        if self.usual_tokens > self.most_tokens:
            raise ConfigError(
                f"ServerConfig.usual_tokens (--max_tokens) is {self.usual_tokens}, and most_tokens (--most_tokens) "
                f"{self.most_tokens}: lower the first or raise the second"
            )
        if self.usual_tokens >= self.window_tokens:
            raise ConfigError(
                f"ServerConfig.usual_tokens (--max_tokens) is {self.usual_tokens}, which leaves no room for a prompt "
                f"in window_tokens (--window), {self.window_tokens}: lower it"
            )
        for name in ("body_s", "send_s", "fetch_s"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(
                    f"ServerConfig.{name} must be a positive number of seconds, got {getattr(self, name)}"
                )
        if not self.model.strip():
            raise ConfigError("ServerConfig.model is empty: give the model a name")
        if not all(map(usable, self.keys)):
            raise ConfigError("ServerConfig.keys has an empty key, or one of letters beyond printable ASCII")
