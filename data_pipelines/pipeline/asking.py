"""What a page asks about and the whole corpus answers: each thing is looked at once, and every page learns about it."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import apache_beam as beam

from data_pipelines.pipeline.flow import Flow


def ask(
    flow: Flow,
    label: str,
    pages: beam.PCollection,
    things: Callable[[Any], Iterable[Hashable]],
    answer: Callable[[beam.PCollection], beam.PCollection],
    apply: Callable[[Any, dict], Iterator],
) -> beam.PCollection:
    """Pages after they learnt the answers to what they asked.

    Args:
      pages: anything with a `key`, unique among them.
      things: what a page asks about: strings, or tuples of strings and numbers.
      answer: from (thing, key of a page that asks), one for each page and thing, to (thing, answer); a thing may stay
        without one.
      apply: takes a page and its answers by thing; yields what becomes of it, and drops.
    """

    def asked(page):
        return [(thing, page.key) for thing in dict.fromkeys(things(page))]

    questions = pages | f"{label}: questions" >> beam.FlatMap(asked)
    answers = answer(questions)
    told = flow.join(f"{label}: answers", _tell, answers, questions)
    by_key = pages | f"{label}: pages" >> beam.Map(lambda page: (page.key, page))
    return flow.join(f"{label}: apply", _Apply(apply), by_key, told)


def _tell(thing, answers: Iterable, keys: Iterable[str]) -> Iterator:
    for answer in answers:
        for key in keys:
            yield key, (thing, answer)


class _Apply:
    def __init__(self, apply: Callable[[Any, dict], Iterator]):
        self._apply = apply

    def __call__(self, key: str, pages: Iterable, told: Iterable) -> Iterator:
        del key
        answers = dict(told)
        for page in pages:
            yield from self._apply(page, answers)


def pages_a_thing(questions: beam.PCollection, label: str) -> beam.PCollection:
    """(thing, how many pages ask about it)."""
    return questions | f"{label}: pages a thing" >> beam.combiners.Count.PerKey()


def distinct(questions: beam.PCollection, label: str) -> beam.PCollection:
    """Each thing once."""
    return questions | f"{label}: things" >> beam.Keys() | f"{label}: distinct" >> beam.Distinct()
