"""The facts beside a checkpoint's state, as a JSON file; the devices may still be computing some when it is saved."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import orbax.checkpoint as ocp
from etils import epath

_NAME = "metadata"
_DIGEST = "digest"


class FactsHandler(ocp.AsyncCheckpointHandler):
    """Writes what a function returns, which is called in the background, and with it its own digest."""

    async def async_save(self, directory: epath.Path, args: "SaveFacts") -> list[ocp.future.Future]:
        """Returns what waits for the file."""
        return [ocp.future.CommitFutureAwaitingContractedSignals(self._write(directory, args), name="facts")]

    async def _write(self, directory: epath.Path, args: "SaveFacts") -> None:
        self.save(directory, args)

    def save(self, directory: epath.Path, args: "SaveFacts") -> None:
        """Not in the background; the first process writes."""
        facts = args.facts()
        if ocp.multihost.process_index() == 0:
            (directory / _NAME).write_text(json.dumps(facts | {_DIGEST: digest(facts)}))

    def restore(self, directory: epath.Path, args: Any = None) -> dict[str, Any]:
        """See `read_facts`; every handler of Orbax's can restore."""
        del args
        return read_facts(directory)[0]


@ocp.args.register_with_handler(FactsHandler, for_save=True)
@dataclasses.dataclass
class SaveFacts(ocp.args.CheckpointArgs):
    """What to save: a function that gives the facts, JSON values by name."""

    facts: Callable[[], Mapping[str, Any]]


@ocp.args.register_with_handler(FactsHandler, for_restore=True)
@dataclasses.dataclass
class RestoreFacts(ocp.args.CheckpointArgs):
    """Orbax wants to know that facts can be read."""


def read_facts(directory: epath.Path) -> tuple[dict[str, Any], bool]:
    """The facts, and whether they are those that were written.

    Raises:
      OSError, ValueError: they cannot be read.
    """
    found = json.loads((directory / _NAME).read_text())
    if not isinstance(found, dict):
        raise ValueError("the facts are no JSON object")
    said = found.pop(_DIGEST, None)
    return found, said == digest(found)


def digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of the facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
