"""From addresses of images to their bytes: documents ask, and places answer one after the other."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam

from data_pipelines.pipeline import asking
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Link

Locator = Callable[[Flow, beam.PCollection], beam.PCollection]
"""From the addresses of images (each a tuple, the likeliest first) to (addresses, `Medium` or the refusing rule)."""


def look_up(flow: Flow, place: str, documents: beam.PCollection, locator: Locator) -> beam.PCollection:
    """The documents with media where the place has what a link names; the other links say why they were not found.

    Args:
      place: its name; a link that it does not know of gets the rule `image_not_in_<place>`.
      documents: dataclasses with a `key` and `items`.
    """

    def things(document: Any) -> list[tuple[str, ...]]:
        return [item.urls for item in document.items if isinstance(item, Link)]

    def apply(document: Any, found: dict) -> Iterator:
        items = []
        for item in document.items:
            answer = found.get(item.urls, f"image_not_in_{place}") if isinstance(item, Link) else item
            items.append(dataclasses.replace(item, rule=answer) if isinstance(answer, str) else answer)
        yield dataclasses.replace(document, items=tuple(items))

    def answer(questions: beam.PCollection) -> beam.PCollection:
        return locator(flow, asking.distinct(questions, place))

    return asking.ask(flow, f"images in {place}", documents, things, answer, apply)
