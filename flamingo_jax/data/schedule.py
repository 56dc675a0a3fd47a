"""Which datasets a step takes a batch of."""

from collections.abc import Mapping, Sequence

ACCUMULATE = "accumulate"
ROUND_ROBIN = "round_robin"
MERGED = "merged"
STRATEGIES = (ACCUMULATE, ROUND_ROBIN, MERGED)


class Schedule:
    """The datasets of every step, in a cycle that repeats for ever.

    Attributes:
      cycle: the datasets of each of its steps.
    """

    def __init__(self, strategy: str, names: Sequence[str], turns: Mapping[str, int]):
        """
        Args:
          turns: with "round_robin", how often each dataset's turn comes in a cycle; 1 where it is not named.
        """
        if strategy == ROUND_ROBIN:
            self.cycle = tuple((name,) for name in _in_turn(names, turns))
        else:
            self.cycle = (tuple(names),)

    def datasets(self, step: int) -> tuple[str, ...]:
        """Those that this step takes a batch of."""
        return self.cycle[step % len(self.cycle)]

    def batches_before(self, name: str, step: int) -> int:
        """How many batches of the dataset all steps before this one took."""
        cycles, place = divmod(step, len(self.cycle))
        turns = [name in datasets for datasets in self.cycle]
        return cycles * sum(turns) + sum(turns[:place])


def _in_turn(names: Sequence[str], turns: Mapping[str, int]) -> list[str]:
    """Each dataset as often as it has turns, spread evenly over the cycle; one turn each gives the order of `names`."""
    places = []
    for place, name in enumerate(names):
        count = turns.get(name, 1)
        places += [((turn + 0.5) / count, place) for turn in range(count)]
    return [names[place] for _, place in sorted(places)]
