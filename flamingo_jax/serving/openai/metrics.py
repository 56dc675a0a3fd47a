"""`/metrics`: what the server counts, in Prometheus' text format 0.0.4."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.stats import Series

KIND = "text/plain; version=0.0.4; charset=utf-8"
_STATM = Path("/proc/self/statm")  # Linux alone
_HISTOGRAMS = {
    "wait": ("wait_seconds", "From submission to the model's attention."),
    "first": ("first_text_seconds", "From submission to the first text."),
    "total": ("answer_seconds", "From submission to the end of the answer."),
    "rows": ("batch_rows", "Requests that were answered together."),
}


def exposition(engine: Engine, held: int, responses: Mapping[int, int]) -> str:
    """The text.

    Args:
      held: bytes of requests.
      responses: of HTTP, by status.
    """
    return "".join(f"{line}\n" for line in _lines(engine, held, responses))


def _lines(engine: Engine, held: int, responses: Mapping[int, int]) -> Iterator[str]:
    yield from _family("requests_total", "counter", "Requests of the engine by outcome.")
    for outcome, count in sorted(engine.stats.counts("requests").items()):
        yield f'flamingo_requests_total{{outcome="{outcome}"}} {count}'
    yield from _family("tokens_total", "counter", "Tokens of answered requests by kind.")
    for kind, count in sorted(engine.stats.counts("tokens").items()):
        yield f'flamingo_tokens_total{{kind="{kind}"}} {count}'
    yield from _family("http_responses_total", "counter", "Responses by status.")
    for status, count in sorted(responses.items()):
        yield f'flamingo_http_responses_total{{status="{status}"}} {count}'
    gauges = {
        "queue_depth": ("Requests that wait.", engine.depth),
        "running": ("Requests that are being answered.", engine.running),
        "held_bytes": ("Bytes of requests that are read or answered.", held),
        "ready": ("1 if requests are taken and no program is compiled before.", int(not engine.not_ready)),
    }
    if _STATM.exists():
        resident = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        gauges["resident_bytes"] = ("Resident memory of the server.", resident)
    for name, (meaning, value) in gauges.items():
        yield from _family(name, "gauge", meaning)
        yield f"flamingo_{name} {value}"
    for key, histogram in engine.stats:
        name, meaning = _HISTOGRAMS[key]
        yield from _family(name, "histogram", meaning)
        yield from _histogram(name, histogram.series)


def _family(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP flamingo_{name} {meaning}"
    yield f"# TYPE flamingo_{name} {kind}"


def _histogram(name: str, series: Series) -> Iterator[str]:
    for bound, count in zip(series.bounds, series.below, strict=True):
        shown = "+Inf" if bound == float("inf") else f"{bound:g}"
        yield f'flamingo_{name}_bucket{{le="{shown}"}} {count}'
    yield f"flamingo_{name}_sum {series.total}"
    yield f"flamingo_{name}_count {series.below[-1]}"
