"""Common programs are compiled before the first request needs them."""

import itertools
import logging
import threading
from collections.abc import Sequence

from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.inference.session import Session

_logger = logging.getLogger(__name__)


class Warming:
    """Asks the session what it is likely to be asked, in batches of 1, 2, 4, ... prompts, greedily and drawn.

    Attributes:
      state: what is under way or failed, one line; empty: nothing is left to do.
    """

    def __init__(self, prompts: Sequence[Prompt] = (), max_new_tokens: int = 64):
        """
        Args:
          prompts: one of each size to be ready for; none: nothing is compiled.
          max_new_tokens: of the answers to be ready for.
        """
        self._prompts, self._most = tuple(prompts), max_new_tokens
        self.state = "programs are compiled" if prompts else ""

    def run(self, session: Session, rows: int, closed: threading.Event) -> None:
        """Compiles, unless the engine is closed meanwhile. What fails here is logged, and may work later."""
        sizes = [*itertools.takewhile(lambda size: size < rows, (2**power for power in itertools.count())), rows]
        ways = (Sampling(self._most), Sampling(self._most, temperature=1.0))
        work = [*itertools.product(self._prompts, sizes, ways)]
        for count, (prompt, size, way) in enumerate(work):
            if closed.is_set():
                return
            self.state = f"programs are compiled: {count} of {len(work)} are ready"
            try:
                next(session.stream([prompt] * size, [way] * size))
            except Exception:
                _logger.exception("a prompt to warm up with failed")
        self.state = ""
