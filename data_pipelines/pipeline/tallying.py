"""Drops of all workers to the rules of one report."""

import apache_beam as beam

from data_pipelines.pipeline.drops import Example, Rule, few, ordered
from data_pipelines.pipeline.sketch import Drop


class Tally(beam.CombineFn):
    """(count, examples) of the drops of one rule: the same in whatever order and groups they come."""

    def create_accumulator(self):
        return 0, ()

    def add_input(self, accumulator, drop: Drop):
        count, examples = accumulator
        return count + drop.count, few([*examples, Example.of(drop)] if drop.example else examples)

    def merge_accumulators(self, accumulators):
        counts, examples = zip(*accumulators, strict=True)
        return sum(counts), few([example for some in examples for example in some])

    def extract_output(self, accumulator):
        return accumulator


def tally(drops: beam.PCollection) -> beam.PCollection:
    """One list of all `Rule`s: whole documents first, then by falling count."""
    return (
        drops
        | "by rule" >> beam.Map(lambda drop: ((drop.unit, drop.rule), drop))
        | "tally" >> beam.CombinePerKey(Tally())
        | "rules" >> beam.MapTuple(lambda key, value: Rule(key[1], key[0], *value))
        | "list of rules" >> beam.combiners.ToList()
        | "order" >> beam.Map(ordered)
    )
