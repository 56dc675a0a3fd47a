"""How much the engine takes on."""

import dataclasses
import math

from flamingo_jax.config import ConfigError


@dataclasses.dataclass(frozen=True)
class EngineConfig:
    """The engine's limits.

    Attributes:
      rows: requests that are answered together, at most; 0: as many as the session takes.
      queue: requests that wait beyond those, at most.
      wait_s: seconds after which a request that still waits has failed.
      answer_s: seconds, from when the model turns to a request, after which it has failed.

    Raises:
      ConfigError: a value is out of range.
    """

    rows: int = 0
    queue: int = 64
    wait_s: float = 60.0
    answer_s: float = 120.0

    def __post_init__(self):
        for name, least in (("rows", 0), ("queue", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"EngineConfig.{name} must be a whole number, {least} or more; got {value!r}")
        for name in ("wait_s", "answer_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"EngineConfig.{name} must be a positive number of seconds, got {value!r}")


DEFAULT = EngineConfig()
