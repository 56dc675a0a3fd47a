"""Notices of Google Cloud that this machine is about to be taken away.

A machine's metadata server says so in two of its entries: `preempted` (documented under "Preemptible VM instances") 30
seconds before the end, and `maintenance-event` (under "Query metadata server for maintenance event notices") 60 seconds
before it, or an hour on machines with GPUs ("Handle GPU host maintenance events"). In the end the machine is shut down
and processes get SIGTERM as well, but have less time left then.
"""

import http.client
import logging
import threading
import urllib.error
import urllib.request
from collections.abc import Callable

METADATA = "http://metadata.google.internal/computeMetadata/v1/instance"
"""Where a machine of Google Cloud finds its own entries; the name means nothing elsewhere."""

_logger = logging.getLogger(__name__)

_FLAVOR = {"Metadata-Flavor": "Google"}  # the server demands it of a request, and puts it into its answers
_TIMEOUT = 3.0  # seconds; the server is on the same host
_LONGEST = 1_000  # bytes of an entry
_BUSY = (429, 500, 502, 503, 504)  # it is asked again later
# A live migration moves the machine with all that runs on it, which goes on after less than a second.
_HARMLESS = ("", "NONE", "MIGRATE_ON_HOST_MAINTENANCE")


class PreemptionNotice:
    """Calls back, from a thread, when Google Cloud announces that it takes this machine away.

    Works inside the context, and costs nothing elsewhere than on Google Cloud: if the metadata server cannot be reached
    at first, it is not asked again.

    Args:
      preempted: is called once when seconds are left, with a reason for people ("Google Cloud pre-empts this machine").
      maintenance: likewise, when there may be an hour left.
      url: of the metadata server's entries about this machine.
      poll_seconds: between two looks.
    """

    def __init__(
        self,
        preempted: Callable[[str], None],
        maintenance: Callable[[str], None],
        url: str = METADATA,
        poll_seconds: float = 5.0,
    ):
        self._ahead, self._poll = [(self._is_preempted, preempted), (self._is_maintained, maintenance)], poll_seconds
        self._preempted, self._maintenance = (
            urllib.request.Request(f"{url}/{entry}", headers=_FLAVOR) for entry in ("preempted", "maintenance-event")
        )
        # No proxy can reach it, whatever the environment says about proxies.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._calling, self._closing = threading.RLock(), threading.Event()

    def __enter__(self) -> "PreemptionNotice":
        self._closing.clear()
        threading.Thread(target=self._watch, name="preemption", daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        """From here on the callback is not called. Does not wait for an answer of the server."""
        self._closing.set()
        with self._calling:
            pass

    def _watch(self) -> None:
        reached = False
        while self._ahead and not self._closing.is_set():
            try:
                for kind in tuple(self._ahead):
                    look, callback = kind
                    reason = look()
                    reached = True
                    if reason:
                        # After a pre-emption nothing more is to be told, after maintenance that may still come.
                        self._ahead = self._ahead[: self._ahead.index(kind)]
                        self._call(callback, reason)
                        break
            except (OSError, http.client.HTTPException) as error:
                if not reached:
                    _logger.debug("no metadata server of Google Cloud: %s", error)
                    return
            self._closing.wait(self._poll)

    def _call(self, callback: Callable[[str], None], reason: str) -> None:
        with self._calling:
            if not self._closing.is_set():
                callback(reason)

    # These raise OSError or HTTPException if the server does not answer, or is not Google's.

    def _is_preempted(self) -> str | None:
        return "Google Cloud pre-empts this machine" if self._read(self._preempted).upper() == "TRUE" else None

    def _is_maintained(self) -> str | None:
        event = self._read(self._maintenance)
        return None if event.upper() in _HARMLESS else f"Google Cloud announces host maintenance ({event})"

    def _read(self, request: urllib.request.Request) -> str:
        """An entry's text; empty if the server has none now."""
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                _demand_flavor(answer.headers)
                return answer.read(_LONGEST).decode(errors="replace").strip()
        except urllib.error.HTTPError as error:
            with error:
                if error.code not in _BUSY:
                    _demand_flavor(error.headers)
                return ""


def _demand_flavor(headers) -> None:
    """Some networks answer for every name."""
    if any(headers.get(name) != value for name, value in _FLAVOR.items()):
        raise OSError("the server that answers is not Google's")
