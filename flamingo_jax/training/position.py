"""How far a run has come, as its processes count it."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class Position:
    """Two numbers lead through a run, and a checkpoint holds both.

    Attributes:
      step: updates done, also those that were not applied: that of the state.
      data_step: the data step that the next update takes. It is `step`, and more after data were skipped.
      seen: what went into updates so far: "tokens/<dataset>" (no padding) and "images/<dataset>" (frames of a clip
        count as one).
      roll_backs: how often the run went back to an earlier checkpoint.
    """

    step: int = 0
    data_step: int = 0
    seen: dict[str, int] = dataclasses.field(default_factory=dict)
    roll_backs: int = 0

    def advance(self, seen: Mapping[str, int]) -> None:
        """One more update, which has seen this much."""
        self.step += 1
        self.data_step += 1
        for name, count in seen.items():
            self.seen[name] = self.seen.get(name, 0) + count

    def facts(self) -> dict[str, Any]:
        """As a checkpoint keeps it."""
        return dataclasses.asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Position":
        """From what a checkpoint kept."""
        return cls(**{field.name: facts[field.name] for field in dataclasses.fields(cls)})
