"""The official evaluators' scores on invented inputs; `tests/goldens/metrics/README.md` says how they were made."""

import functools
import gzip
import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "goldens" / "metrics"


@functools.cache
def golden(name: str) -> tuple[Any, Any]:
    """(inputs, outputs) of a file."""
    with gzip.open(FOLDER / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        content = json.load(file)
    return content["inputs"], content["outputs"]
