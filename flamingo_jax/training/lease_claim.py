"""What the holder of a workdir's lease writes into its file: who it is, and signs that it is alive."""

import dataclasses
import datetime
import json
import math
from typing import Any

from flamingo_jax.training.process_identity import surely_dead

# Contents are padded to a multiple of this many bytes. Libraries for object stores remember the size of what they once
# listed, and read no more than that (gcsfs, fsspec's file system for gs://, does).
_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class Claim:
    """What the file says of its holder.

    Attributes:
      token: drawn anew whenever a lease is taken.
      host, pid: the holder's machine and process number.
      process: `process_identity.identity()` of it.
      since: when it took the lease, unix seconds by its own clock; only for people to read.
      timeout: its `timeout_seconds`.
      beat: renewals so far.
    """

    token: str
    host: str
    pid: int
    process: dict[str, Any]
    since: float
    timeout: float
    beat: int = 0

    @classmethod
    def parse(cls, text: bytes) -> "Claim | None":
        """The claim that a file's contents are; None for anything else, such as the half of one."""
        try:
            fields = json.loads(text)
            claim = cls(**{field.name: fields[field.name] for field in dataclasses.fields(cls)})
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        sane = isinstance(claim.token, str) and isinstance(claim.pid, int) and isinstance(claim.process, dict)
        numbers = all(isinstance(n, int | float) and math.isfinite(n) for n in (claim.since, claim.timeout))
        return claim if sane and numbers and isinstance(claim.beat, int) else None

    def text(self) -> bytes:
        """The file's contents."""
        text = json.dumps(dataclasses.asdict(self)).encode()
        return text + b" " * (-(len(text) + 1) % _BLOCK) + b"\n"

    def is_dead(self) -> bool:
        """Whether its holder runs no more; False if that cannot be known from here."""
        return surely_dead(self.pid, self.process)

    def __str__(self) -> str:
        try:
            since = datetime.datetime.fromtimestamp(self.since, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        except (ValueError, OverflowError, OSError):
            since = "an unknown time"
        return f"process {self.pid} on {self.host} (since {since})"
