"""What a line of the terminal means."""

import dataclasses
import shlex
from typing import NamedTuple

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue.settings import Settings

COMMANDS = {
    "image": "FILE: send a picture with the next question; may be repeated",
    "video": "FILE: the same with a clip",
    "settings": "[NAME=VALUE ...]: show the settings, or change some",
    "new": "begin a new conversation",
    "save": "FILE: save the conversation",
    "load": "FILE: go on with a saved conversation",
    "help": "show this",
    "quit": "leave (so does Ctrl-D; Ctrl-C stops an answer)",
}
_NEED_FILE = ("image", "video", "save", "load")


class Line(NamedTuple):
    """A line that was read: a command with its argument, or (command is empty) a question."""

    command: str
    argument: str


def parse(line: str) -> Line:
    """Reads a line. A question that begins with a slash is written with two.

    Raises:
      ConfigError: there is no such command, or it lacks its file.
    """
    line = line.strip()
    if not line.startswith("/") or line.startswith("//"):
        return Line("", line[1:] if line.startswith("//") else line)
    name, _, argument = line[1:].partition(" ")
    if name not in COMMANDS:
        raise ConfigError(f"there is no command /{name}: /help shows them")
    argument = argument.strip()
    if len(argument) > 1 and argument[0] == argument[-1] and argument[0] in "\"'":
        argument = argument[1:-1]
    if name in _NEED_FILE and not argument:
        raise ConfigError(f"/{name} needs a file: /{name} FILE")
    return Line(name, argument)


def usage() -> str:
    """The commands, a line each."""
    return "\n".join(
        f"/{name} {text}" if text[0].isupper() or text[0] == "[" else f"/{name}: {text}"
        for name, text in COMMANDS.items()
    )


def changed(settings: Settings, assignments: str) -> Settings:
    """The settings with `NAME=VALUE ...` changed.

    Raises:
      ConfigError: a name is unknown, or a value is none of its kind.
    """
    known = {field.name: type(field.default) for field in dataclasses.fields(Settings)}
    values = {}
    try:
        words = shlex.split(assignments)
    except ValueError as error:
        raise ConfigError(f"cannot read {assignments!r}: {error}") from error
    for word in words:
        name, _, value = word.partition("=")
        if name not in known or not value:
            raise ConfigError(f"{word!r} is no setting: they are NAME=VALUE of {', '.join(known)}")
        values[name] = _value(name, value, known[name])
    return dataclasses.replace(settings, **values)


def _value(name: str, value: str, kind: type) -> object:
    if kind is bool:
        words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
        if value.lower() not in words:
            raise ConfigError(f"{name} is on or off; got {value!r}")
        return words[value.lower()]
    try:
        return kind(value)
    except ValueError as error:
        raise ConfigError(f"{name} is a{' whole' if kind is int else ''} number; got {value!r}") from error
