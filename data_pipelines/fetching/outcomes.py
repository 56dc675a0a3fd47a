"""How the fetch of an address ends: its bytes, or a rule that says why there are none."""

import dataclasses

from data_pipelines.pipeline.sketch import Reference

FETCHED, ALREADY_THERE = "fetched", "already_there"

BAD_URL = "fetch_bad_url"  # not an absolute http(s) address
PRIVATE_ADDRESS = "fetch_private_address"  # leads to an address that is not public
ROBOTS = "fetch_robots"  # the host's robots.txt forbids it, or was not given
NOT_FOUND = "fetch_not_found"  # status 404 or 410
HTTP_ERROR = "fetch_http_error"  # another status that brings nothing
WRONG_TYPE = "fetch_wrong_type"  # the bytes are not those of an accepted type
TOO_LARGE = "fetch_too_large"  # more bytes than the limit, as sent or decoded
TIMEOUT = "fetch_timeout"  # connected, but the answer took too long
REDIRECTS = "fetch_redirects"  # too many, or to what is no http(s) address
CONNECTION = "fetch_connection"  # no connection, or it broke, or what came was not HTTP
EMPTY = "fetch_empty"  # an answer without a body
BAD_ENCODING = "fetch_bad_encoding"  # compressed in a way that was not asked for, or damaged
HOST_GIVEN_UP = "fetch_host_given_up"  # the host failed too often in this run


class Failure(Exception):
    """A request that brought nothing.

    Attributes:
      rule: one of the above.
      lasting: another run would end alike, so the store remembers it.
      retry: trying again soon may help; it counts against the host.
      pause: seconds for which the host asked not to be asked, or None.
    """

    def __init__(self, rule: str, *, lasting: bool = False, retry: bool = False, pause: float | None = None):
        super().__init__(rule)
        self.rule = rule
        self.lasting = lasting
        self.retry = retry
        self.pause = pause


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """How the fetch of one address ended.

    Attributes:
      url: as it was given.
      outcome: "fetched", "already_there" or a rule.
      reference: where the bytes are; None where there are none.
      size: how many bytes this run added to the store.
    """

    url: str
    outcome: str
    reference: Reference | None = None
    size: int = 0
