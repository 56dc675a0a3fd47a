"""Addresses to listen at."""

import contextlib
import ipaddress
import logging
import socket

from flamingo_jax.config import ConfigError

_logger = logging.getLogger(__name__)
_BACKLOG = 2048  # connections that are not accepted yet


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def bind(host: str, port: int) -> socket.socket:
    """A socket with that address, at which nobody listens. It refuses connections until `listen`.

    The log warns if others than this machine will reach it.

    Args:
      port: 0: any that is free.

    Raises:
      ConfigError: the address cannot be had.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # not of a server that has just ended
        bound.bind((host, port))
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is none
        bound.close()
        raise _refused(host, port, error) from error
    if not is_loopback(host):
        _logger.warning("listening at %s: others than this machine can reach the server", host)
    return bound


def listen(bound: socket.socket) -> None:
    """Takes connections from now on.

    Raises:
      ConfigError: another process has begun to listen at the address since it was bound.
    """
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise _refused(*bound.getsockname()[:2], error) from error


def _refused(host: str, port: int, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or error
    return ConfigError(f"--host={host} --port={port} cannot be listened at: {reason}")
