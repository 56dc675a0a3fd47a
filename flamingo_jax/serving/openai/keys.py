"""The file of keys of which clients show one."""

from etils import epath

from flamingo_jax.config import ConfigError


def read_keys(path: str) -> tuple[str, ...]:
    """The keys of a file, one a line; empty lines, spaces around keys and a byte-order mark do not count.

    Raises:
      ConfigError: the file cannot be read or has no key, or a key has letters that clients write in different ways.
    """
    try:
        text = epath.Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"--api_key_file={path} cannot be read ({error.strerror or error}): name a file of keys, one a line"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--api_key_file={path} is not text in UTF-8: write one key a line") from error
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    keys = {number: line for number, line in lines if line}
    for number, key in keys.items():
        if not usable(key):
            raise ConfigError(
                f"--api_key_file={path} has a key on line {number} that headers cannot carry: write keys in printable "
                "ASCII"
            )
    if not keys:
        raise ConfigError(f"--api_key_file={path} has no key: write one a line, or leave the flag out")
    return tuple(keys.values())


def usable(key: str) -> bool:
    """Whether the headers of all clients write a key alike."""
    return bool(key) and key.isascii() and key.isprintable()
