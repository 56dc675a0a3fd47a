"""Pages with nearly the text of another: found in buckets, of which each keeps the page with the smallest key."""

from collections.abc import Iterable, Iterator

import apache_beam as beam

from data_pipelines.copies import page_duplicates
from data_pipelines.copies.page_duplicates import PageDuplicates
from data_pipelines.m3w.page import Page
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Drop

_SAME = b"same words"


def drop(flow: Flow, pages: beam.PCollection, config: PageDuplicates) -> beam.PCollection:
    """The pages without those whose text another page of a smaller key has too, or nearly."""
    originals = (
        pages
        | "signatures" >> beam.FlatMap(_buckets, config)
        | "pages of a bucket" >> beam.GroupByKey()
        | "originals" >> beam.FlatMap(_copies, config)
    )
    by_key = pages | "pages by key" >> beam.Map(lambda page: (page.key, page))
    return flow.join("repeated pages", _judge, by_key, originals)


def _buckets(page: Page, config: PageDuplicates) -> Iterator[tuple[bytes, tuple[str, bytes]]]:
    """(bucket, (key, signature)); in the bucket of pages with the same words the signature is not needed."""
    text = "\n".join(paragraph.text for paragraph in page.paragraphs)
    yield _SAME + page_duplicates.digest(text), (page.key, _SAME)
    signature = page_duplicates.signature(text, config)
    for bucket in page_duplicates.buckets(signature, config):
        yield bucket, (page.key, signature)


def _copies(bucket: tuple, config: PageDuplicates) -> Iterator[tuple[str, tuple[str, str]]]:
    """(key of a page, (rule, key of the page that it repeats))."""
    _, pages = bucket
    original, signature = min(pages)
    for key, other in pages:
        if key == original:
            continue
        if other == _SAME:
            yield key, ("page_repeated", original)
        elif page_duplicates.similar(signature, other, config):
            yield key, ("page_nearly_repeated", original)


def _judge(key: str, pages: Iterable[Page], originals: Iterable[tuple[str, str]]) -> Iterator[Page | Drop]:
    found = sorted(originals, key=lambda one: (one[0] != "page_repeated", one[1]))
    for page in pages:
        if found:
            rule, original = found[0]
            yield Drop(rule, "page", f"{key} = {original}")
        else:
            yield page
