"""What a build dropped and why: counts with a few examples, as JSON and as a table."""

import collections
import json
from collections.abc import Mapping

_EXAMPLES = 5
_EXAMPLE_CHARACTERS = 160
_UNITS = ("page", "paragraph", "image", "pair", "clip")


class Drops:
    """Counts of dropped things by rule and unit ("page", "paragraph", "image", "pair" or "clip")."""

    def __init__(self):
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._examples: dict[tuple[str, str], list[str]] = {}

    def add(self, rule: str, unit: str, example: str = "", count: int = 1) -> None:
        """Counts `count` things dropped by `rule`; the first five different examples are kept."""
        if unit not in _UNITS:
            raise ValueError(f"unknown unit {unit!r}; known: {', '.join(_UNITS)}")
        self._counts[rule, unit] += count
        examples = self._examples.setdefault((rule, unit), [])
        example = example[:_EXAMPLE_CHARACTERS]
        if example and len(examples) < _EXAMPLES and example not in examples:
            examples.append(example)

    def count(self, rule: str, unit: str) -> int:
        """How many things of one unit a rule dropped."""
        return self._counts[rule, unit]

    def to_json(self) -> list[dict]:
        """One entry per rule and unit: pages first, then by falling count."""
        order = sorted(self._counts.items(), key=lambda entry: (_UNITS.index(entry[0][1]), -entry[1], entry[0][0]))
        return [
            {"rule": rule, "unit": unit, "count": count, "examples": self._examples[rule, unit]}
            for (rule, unit), count in order
        ]


def table(report: Mapping) -> str:
    """The text table of a build's report: what was kept, then each rule with its count and first example."""
    kept = ", ".join(f"{number:,} {what}" for what, number in report["kept"].items() if isinstance(number, int))
    splits = ", ".join(f"{name} {number:,}" for name, number in report["kept"]["documents_per_split"].items())
    lines = [f"{report['dataset']}: kept {kept} ({splits}) in {report['seconds']:.1f} s"]
    if not report["drops"]:
        return "\n".join([*lines, "nothing was dropped"])
    width = max(len(drop["rule"]) for drop in report["drops"])
    lines.append(f"  {'dropped by rule':<{width}}  {'unit':<9}  {'count':>8}  first example")
    for drop in report["drops"]:
        example = " ".join(drop["examples"][0].split()) if drop["examples"] else ""
        example = example if len(example) <= 60 else f"{example[:57]}..."
        lines.append(f"  {drop['rule']:<{width}}  {drop['unit']:<9}  {drop['count']:>8,}  {example}".rstrip())
    return "\n".join(lines)


def dump(report: Mapping) -> str:
    """The report as the text of `drops.json`."""
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
