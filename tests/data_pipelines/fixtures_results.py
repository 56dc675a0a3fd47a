"""What a format's `read` gave, in the form that tests compare."""

import collections
from collections.abc import Iterable
from pathlib import Path

from data_pipelines.pipeline.sketch import Drop, Reference, Sketch


def sort(results: Iterable[Sketch | Drop]) -> tuple[dict[str, tuple], dict[tuple[str, str], int]]:
    """({key: items}, {(rule, unit): count}); fails on a key that comes twice."""
    documents: dict[str, tuple] = {}
    drops: collections.Counter[tuple[str, str]] = collections.Counter()
    for result in results:
        if isinstance(result, Drop):
            drops[result.rule, result.unit] += result.count
        else:
            assert isinstance(result, Sketch)
            assert result.key not in documents
            documents[result.key] = result.items
    return documents, dict(drops)


def span(reference: Reference) -> bytes:
    """The bytes that a reference of the form "span" or "json_base64" points at."""
    return Path(reference.path).read_bytes()[reference.offset : reference.offset + reference.length]
