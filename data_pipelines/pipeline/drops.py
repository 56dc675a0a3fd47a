"""What a build dropped and why: counts with a few examples, as JSON and as a table."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping

from data_pipelines.pipeline.sketch import Drop, Reference

UNITS = ("page", "document", "pair", "clip", "paragraph", "image")
_EXAMPLES = 8
_EXAMPLE_CHARACTERS = 240


@dataclasses.dataclass(frozen=True, order=True)
class Example:
    """One of the things that a rule dropped. The order is by a hash of the text: a draw that any worker makes alike."""

    rank: bytes
    text: str
    reference: Reference | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def of(cls, drop: Drop) -> "Example":
        """The example that a drop gives."""
        text = " ".join(drop.example.split())[:_EXAMPLE_CHARACTERS]
        return cls(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), text, drop.reference)


@dataclasses.dataclass(frozen=True)
class Rule:
    """What one rule dropped of one unit: how many, with examples."""

    rule: str
    unit: str
    count: int
    examples: tuple[Example, ...]

    def to_json(self) -> dict:
        """The entry of `drops.json`."""
        return {
            "rule": self.rule,
            "unit": self.unit,
            "count": self.count,
            "examples": [example.text for example in self.examples],
        }


def few(examples: Iterable[Example]) -> tuple[Example, ...]:
    """The examples that a report shows of these: a draw by the hash of their texts, each text once."""
    distinct = {example.text: example for example in sorted(examples, key=lambda one: (one, repr(one.reference)))}
    return tuple(sorted(distinct.values())[:_EXAMPLES])


def ordered(rules: Iterable[Rule]) -> list[Rule]:
    """The rules in the order of the report."""
    return sorted(rules, key=lambda rule: (UNITS.index(rule.unit), -rule.count, rule.rule))


def table(report: Mapping) -> str:
    """The text table of a build's report: what was kept, then each rule with its count and first example."""
    kept = ", ".join(f"{number:,} {what}" for what, number in report["kept"].items() if isinstance(number, int))
    splits = ", ".join(f"{name} {number:,}" for name, number in report["kept"]["documents_per_split"].items())
    lines = [f"{report['dataset']}: kept {kept or 'nothing'}" + (f" ({splits})" if splits else "")]
    if not report["drops"]:
        return "\n".join([*lines, "nothing was dropped"])
    width = max(len(drop["rule"]) for drop in report["drops"])
    lines.append(f"  {'dropped by rule':<{width}}  {'unit':<9}  {'count':>9}  an example")
    for drop in report["drops"]:
        example = " ".join(drop["examples"][0].split()) if drop["examples"] else ""
        example = example if len(example) <= 60 else f"{example[:57]}..."
        lines.append(f"  {drop['rule']:<{width}}  {drop['unit']:<9}  {drop['count']:>9,}  {example}".rstrip())
    return "\n".join(lines)


def dump(report: Mapping) -> str:
    """The report as the text of `drops.json`."""
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
