"""A program that talks in the terminal, without a model: for a test that types."""

import fcntl
import sys
import termios

from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.terminal.terminal import Terminal
from flamingo_jax.serving.uploads import Limits
from tests.serving.dialogue.fake_engine import FakeEngine, fake_chat

if __name__ == "__main__":
    fcntl.ioctl(sys.stdin, termios.TIOCSCTTY, 0)  # Ctrl-C comes from there
    talk = Talk(fake_chat(FakeEngine(lambda request: "word " * 500, pause=0.1)))
    sys.exit(Terminal(talk, Settings(), Limits(), input, sys.stdout, sys.stderr, sys.stdin.isatty()).run())
