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
    tagged = (
        answer(questions) | f"{label}: tag answers" >> beam.MapTuple(lambda thing, value: (thing, (True, value))),
        questions | f"{label}: tag questions" >> beam.MapTuple(lambda thing, key: (thing, (False, key))),
    )
    grouped = tagged | f"{label}: meet" >> beam.Flatten() | f"{label}: by thing" >> beam.GroupByKey()
    told = grouped | f"{label}: answers" >> beam.FlatMap(_tell)
    by_key = pages | f"{label}: pages" >> beam.Map(lambda page: (page.key, page))
    return flow.join(f"{label}: apply", _Apply(apply), by_key, told)


def _tell(grouped: tuple[Hashable, Iterable[tuple[bool, Any]]]) -> Iterator[tuple[str, tuple]]:
    """(key, (thing, answer)) for each page that asks. A thing may stand on millions of pages: nothing is listed."""
    thing, tagged = grouped
    answer = next(((value,) for is_answer, value in tagged if is_answer), None)
    if answer is not None:
        for is_answer, key in tagged:
            if not is_answer:
                yield key, (thing, answer[0])


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
