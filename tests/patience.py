"""How tests look at the clock: a machine that has other things to do makes nothing fail, and what hangs ends."""

import contextlib
import time
from collections.abc import Callable, Iterator

PATIENCE = 60.0  # seconds for what takes a moment on an idle machine


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Waits for it, and fails when it does not come about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not come about in {seconds:.0f} s"
        time.sleep(0.005)


@contextlib.contextmanager
def within(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """What is done in it takes less. For work, which others slow down, the clock is `time.process_time`; for a wait,
    the seconds lie far above what is right, and far below what would be wrong."""
    began = clock()
    yield
    took = clock() - began
    assert took < seconds, f"{took:.2f} s, and not under {seconds}"
