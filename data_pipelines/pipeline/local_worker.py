"""One of several worker processes of a build on this machine: Beam's own worker, that ends with the build."""

import os
import signal
import sys
import threading
import time

_POLL = 1.0  # seconds


def _end(*_) -> None:
    os._exit(0)  # nobody waits for this worker's bundle any more


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL)
    _end()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _end)  # Ctrl-C reaches the build as well
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    from apache_beam.runners.worker import sdk_worker_main  # takes a second, in which signals come too

    sdk_worker_main.main(sys.argv)
