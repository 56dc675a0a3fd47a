"""Which examples of an evaluation are shown: of all rows, in two passes, some of the best, the worst and any."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from flamingo_jax.evaluation.fewshot.row_files import Row
from flamingo_jax.html.figures import finite


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """How a row was asked."""

    shots: int
    selection: str
    seed: int


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """An item: its row in the setting that is shown, and its rows in the others, one for each shots and selection."""

    row: Row
    others: Sequence[Row]


@dataclasses.dataclass(frozen=True)
class Choice:
    """The examples that are shown.

    Attributes:
      setting: of the rows that are shown; None: there are no rows.
      best, worst: the highest and the lowest shares first; of metrics that are no mean over items, margins.
      any: a random sample of the others.
      by_margin: whether best and worst go by the margin of the true candidate.
    """

    setting: Setting | None
    best: Sequence[Example] = ()
    worst: Sequence[Example] = ()
    any: Sequence[Example] = ()
    by_margin: bool = False


def setting_of(row: Row) -> Setting:
    """The setting of a row; what is missing counts as 0 shots, random support and seed 0."""
    return Setting(int(row.get("shots") or 0), str(row.get("selection") or "random"), int(row.get("seed") or 0))


def margin(row: Row) -> float | None:
    """By how many nats the likeliest true candidate is ahead of the likeliest untrue one; None if one is not known."""
    by_truth: dict[bool, list[float]] = {True: [], False: []}
    for candidate in row.get("candidates") or ():
        score = finite(candidate.get("score"))
        if score is not None:
            by_truth[bool(candidate.get("true"))].append(score)
    return max(by_truth[True]) - max(by_truth[False]) if by_truth[True] and by_truth[False] else None


def choose(rows: Iterable[Row], results: Sequence[Mapping], count: int, seed: int) -> Choice:
    """Chooses `count` examples: a third best, a third worst, the rest any.

    They are of one setting: the most shots, of these the selection with the better value, of these the first seed.
    Among equals the choice is random but the same whenever it is made, whatever the order of the rows.

    Args:
      rows: all rows; gone through twice, never held.
      results: of the summary.
      count: how many examples.
      seed: of the random choices.
    """
    values = {(one.get("shots"), one.get("selection")): finite(one.get("value")) for one in results}
    setting, standing = _survey(rows, values, seed)
    if setting is None:
        return Choice(None)
    shares = {key: share for key, (share, _, _) in standing.items() if share is not None}
    margins = {key: ahead for key, (_, ahead, _) in standing.items() if ahead is not None}
    drawn = {key: draw for key, (_, _, draw) in standing.items()}
    orders = shares or margins
    ranked = sorted(orders, key=lambda key: (-orders[key], drawn[key]))
    each = min(count // 3, len(ranked) // 2)
    best = ranked[:each]
    worst = sorted(set(ranked) - set(best), key=lambda key: (orders[key], drawn[key]))[:each]
    left = drawn.keys() - set(best) - set(worst)
    sample = sorted(left, key=drawn.__getitem__)[: count - 2 * each]
    found = _collect(rows, {*best, *worst, *sample}, setting)
    shown = ([found[key] for key in keys] for keys in (best, worst, sample))
    return Choice(setting, *shown, by_margin=not shares and bool(margins))


def _survey(
    rows: Iterable[Row], values: Mapping, seed: int
) -> tuple[Setting | None, dict[str, tuple[float | None, float | None, bytes]]]:
    """The setting that is shown and, by key, (share, margin, a random draw) of its rows."""
    shown: Setting | None = None
    rank: tuple = ()
    standing: dict[str, tuple[float | None, float | None, bytes]] = {}
    for row in rows:
        setting = setting_of(row)
        if setting != shown:
            value = values.get((setting.shots, setting.selection))
            other = (setting.shots, value is not None, value or 0.0, setting.selection, -setting.seed)
            if shown is not None and other <= rank:
                continue
            shown, rank, standing = setting, other, {}
        key = str(row.get("key"))
        standing[key] = finite(row.get("share")), margin(row), _draw(seed, key)
    return shown, standing


def _collect(rows: Iterable[Row], keys: set[str], setting: Setting) -> dict[str, Example]:
    shown: dict[str, Row] = {}
    others: dict[str, dict[tuple[int, str], Row]] = {key: {} for key in keys}
    for row in rows:
        key = str(row.get("key"))
        if key not in keys:
            continue
        of_row = setting_of(row)
        if of_row == setting:
            shown[key] = row
        elif (of_row.shots, of_row.selection) != (setting.shots, setting.selection):
            known = others[key].get((of_row.shots, of_row.selection))
            if known is None or of_row.seed <= setting_of(known).seed:
                others[key][of_row.shots, of_row.selection] = row
    return {key: Example(row, [others[key][at] for at in sorted(others[key])]) for key, row in shown.items()}


def _draw(seed: int, key: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{key}".encode("utf-8", "replace"), digest_size=8).digest()
