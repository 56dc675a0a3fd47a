"""Talks with a trained model about pictures and clips: `python -m flamingo_jax.chat --workdir=DIR`.

Serves a page on this machine; with `--terminal` the conversation is in the terminal, or through a pipe.
"""

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from absl import flags
from etils import epath

from flamingo_jax import command_line
from flamingo_jax.config import ConfigError
from flamingo_jax.inference.session import Session
from flamingo_jax.parallel import distributed
from flamingo_jax.serving.address import bind
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.opening import chat_of, open_engine
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.style import STYLES
from flamingo_jax.serving.dialogue.support import Support
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.terminal.terminal import Terminal
from flamingo_jax.serving.uploads import Limits

flags.DEFINE_string("workdir", None, "Folder of the training run.", required=True)
flags.DEFINE_bool("terminal", False, "In the terminal, and not as a page.")
flags.DEFINE_string("host", "127.0.0.1", "Address to listen at; others than this machine reach any but a loopback one.")
flags.DEFINE_integer("port", 7860, "Port to listen at; 0: any that is free.", lower_bound=0, upper_bound=65535)
flags.DEFINE_string("support", "", "Folder of pictures with a metadata.jsonl: examples to show the model.")
flags.DEFINE_integer("window", 0, "Tokens of a prompt and its answer; 0: the language model's own.", lower_bound=0)
flags.DEFINE_integer("max_images", 33, "Pictures and clips that the model is shown at a time.", lower_bound=1)
flags.DEFINE_float("max_file_mb", 20, "Megabytes that a picture or clip may have.")
flags.DEFINE_enum("style", "dialogue", sorted(STYLES), "How the conversation is written for the model.")
flags.DEFINE_integer("answer_tokens", 64, "Tokens of an answer, at most.")
flags.DEFINE_integer("beams", 1, "Of beam search; 1: none.")
flags.DEFINE_float("temperature", 0.0, "0: the likeliest token each time; above: drawn.")
flags.DEFINE_float("top_p", 1.0, "Drawn from the likeliest tokens that hold this share of the probability.")
flags.DEFINE_integer("seed", 0, "Of what is drawn.")
flags.DEFINE_integer("shots", 0, "Examples of the support folder to show.")
flags.DEFINE_bool("abstain", False, "Say that it does not know when unsure; the workdir needs an abstention.json.")

_SETTINGS = ("style", "answer_tokens", "beams", "temperature", "top_p", "seed", "shots", "abstain")
_OF_PAGE = ("host", "port")


def main() -> int:
    """Flags to one of two calls."""
    distributed.refuse_several("flamingo_jax.chat")
    values, workdir = flags.FLAGS, epath.Path(flags.FLAGS.workdir)
    if values.terminal:
        command_line.refuse_unused("terminal", _OF_PAGE)
    settings = Settings(**{name: getattr(values, name) for name in _SETTINGS})
    limits = Limits(bytes=command_line.millions("max_file_mb"))
    if settings.shots and not values.support:
        raise ConfigError("--shots needs --support, the folder of examples")
    serve = None if values.terminal else _page()
    session = Session.open(workdir)
    limits = dataclasses.replace(limits, pixels=session.pixels.max_pixels)
    support = Support.open(epath.Path(values.support), session) if values.support else None
    engine = open_engine(session, workdir)
    try:
        chat = chat_of(engine, session, values.window, values.max_images, support)
        if settings.abstain and not chat.abstains:
            raise ConfigError(
                f"--abstain needs {workdir / 'abstention.json'}: make it with python -m flamingo_jax.abstain"
            )
        if serve is None:
            status = _in_terminal(Talk(chat), settings, limits)
        else:
            status = _on_page(*serve, chat, settings, limits, workdir.name, session.step)
    except BaseException as error:
        if engine.close():
            raise
        command_line.leave(command_line.report(error))
    if not engine.close():
        command_line.leave(status)
    return status


def _on_page(shown, served, chat: Chat, settings: Settings, limits: Limits, name: str, step: int) -> int:
    values = flags.FLAGS
    with _signals() as asked_to_end:
        about = shown(name, step, settings)
        with served(chat, about, values.host, values.port, limits) as address:
            print(f"chat: {address} (Ctrl-C ends it)", flush=True)
            asked_to_end.wait()
    return 0


def _page() -> tuple:
    """What the page needs beyond the core, and whether its address is free, before the weights, which take long.

    Raises:
      ConfigError: it is not installed, or the address cannot be had.
    """
    bind(flags.FLAGS.host, flags.FLAGS.port).close()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read as it is imported
    try:
        from flamingo_jax.serving.web.page import Shown
        from flamingo_jax.serving.web.serve import served
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("flamingo_jax"):
            raise
        raise ConfigError(
            f"the page needs the package {error.name}: pip install 'flamingo-jax[chat]', or use --terminal"
        ) from error
    return Shown, served


def _in_terminal(talk: Talk, settings: Settings, limits: Limits) -> int:
    people = sys.stdin.isatty()
    if people:
        import readline  # noqa: F401  (gives `input` a history)
    else:
        sys.stdin.reconfigure(errors="replace")
    return Terminal(talk, settings, limits, input if people else _piped, sys.stdout, sys.stderr, people).run()


def _piped(prompt: str) -> str:
    """As `input`, without a prompt."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set at SIGINT and SIGTERM."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    command_line.run(main)
