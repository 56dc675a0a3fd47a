"""The M3W recipe as a Beam pipeline: which rule comes after which. The rules themselves are pure functions elsewhere.

Order (Flamingo, appendix A.3.1): pages are extracted and their text judged, then their images are looked up, judged and
counted over the corpus, and pages that are left without one are dropped.
"""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Callable, Iterator

import apache_beam as beam

from data_pipelines.copies import decontamination, image_duplicates
from data_pipelines.m3w import language_rules, name_rules, repeated_pages, safety
from data_pipelines.m3w import pages as page_rules
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.frequency_rules import FrequencyRules
from data_pipelines.m3w.items import Paragraph
from data_pipelines.m3w.page import Page
from data_pipelines.pipeline import asking, judging, links, picture_names
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import Drop, Link, Medium, Reference

_DIGITS = re.compile(r"\d+")


def documents(
    flow: Flow, pages: beam.PCollection, locators: dict[str, links.Locator], config: M3WConfig, evaluation: str = ""
) -> beam.PCollection:
    """The sketches of the pages that every rule leaves.

    Args:
      pages: `Page`s as they were read.
      locators: where to look for images that are known by address alone, by the name of the place, in this order.
      config: the thresholds.
      evaluation: the file with the evaluation images (`judging.prepare`), or "".
    """
    pages = _drop_frequent_paragraphs(flow, pages, config.frequency)
    pages = flow.stage("text rules", pages, functools.partial(_text_rules, config=config), count="pages read")
    pages = flow.stage("names of images", pages, functools.partial(_name_rules, config=config))
    pages = repeated_pages.drop(flow, pages, config.duplicates)
    for place, locator in locators.items():
        pages = links.look_up(flow, place, pages, locator)
    pages = flow.stage("images not found", pages, _drop_links)
    pages = _judge_images(flow, pages, config, evaluation)
    pages = _drop_frequent_images(flow, pages, config)
    return flow.stage("to documents", pages, _to_sketch)


def _pattern(paragraph: Paragraph) -> str:
    """What makes two paragraphs the same: their text, digits aside. Only running text and list items have one."""
    if paragraph.kind not in ("text", "list_item"):
        return ""
    text = _DIGITS.sub("0", paragraph.text)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _drop_frequent_paragraphs(flow: Flow, pages: beam.PCollection, rules: FrequencyRules) -> beam.PCollection:
    """Drops paragraphs that stand on many pages; headings and captions may.

    What stands on a share of the pages is little, however many there are: every worker gets the list.
    """
    patterns = pages | "patterns" >> beam.FlatMap(
        lambda page: [(pattern, page.key) for pattern in {_pattern(one) for one in page.paragraphs} if pattern]
    )
    frequent = _Frequent(pages, rules.too_many, "paragraphs")(patterns)
    return flow.stage("frequent paragraphs", pages, _without_frequent, beam.pvalue.AsDict(frequent))


def _without_frequent(page: Page, frequent: dict[str, int]) -> Iterator[Page | Drop]:
    items = []
    for item in page.items:
        if frequent and isinstance(item, Paragraph) and _pattern(item) in frequent:
            yield Drop("paragraph_on_too_many_pages", "paragraph", item.text)
        else:
            items.append(item)
    yield dataclasses.replace(page, items=tuple(items))


class _Frequent:
    """Answers which things stand on too many of the pages: (thing, how many) for these."""

    def __init__(self, pages: beam.PCollection, too_many: Callable[[int, int], bool], label: str):
        self._pages, self._too_many, self._label = pages, too_many, label

    def __call__(self, questions: beam.PCollection) -> beam.PCollection:
        total = self._pages | f"{self._label}: all pages" >> beam.combiners.Count.Globally()
        return asking.pages_a_thing(questions, self._label) | f"{self._label}: too many" >> beam.Filter(
            _is_frequent, self._too_many, beam.pvalue.AsSingleton(total)
        )


def _is_frequent(counted: tuple[str, int], too_many: Callable[[int, int], bool], total: int) -> bool:
    return too_many(counted[1], total)


def _text_rules(page: Page, config: M3WConfig) -> Iterator[Page | Drop]:
    text = "\n".join(paragraph.text for paragraph in page.paragraphs)
    rule = (
        language_rules.reason(text, config.language)
        or safety.page_reason(page.key, text, config.safety)
        or page_rules.text_reason(page.items, config)
    )
    if rule:
        yield Drop(rule, "page", page.key)
    else:
        yield page


def _name_rules(page: Page, config: M3WConfig) -> Iterator[Page | Drop]:
    """What the addresses of images tell, before anything is looked up or fetched."""
    items = []
    for item in page.items:
        if isinstance(item, Paragraph):
            items.append(item)
            continue
        urls = item.urls if isinstance(item, Link) else (item.source,)
        rule = safety.image_reason(urls, None, config.safety)
        if rule and safety.drops_page(config.safety):
            yield Drop("page_with_explicit_image", "page", f"{page.key}: {urls[0]}")
            return
        if rule := rule or name_rules.reason(urls, config.names):
            yield Drop(rule, "image", f"{page.key}: {urls[0]}", getattr(item, "reference", None))
        else:
            items.append(item)
    yield from _with_items(page, items)


def _drop_links(page: Page) -> Iterator[Page | Drop]:
    items = []
    for item in page.items:
        if isinstance(item, Link):
            yield Drop(item.rule or "image_not_local", "image", f"{page.key}: {item.urls[0]}")
        else:
            items.append(item)
    yield from _with_items(page, items)


def _with_items(page: Page, items: list) -> Iterator[Page | Drop]:
    page = dataclasses.replace(page, items=tuple(items))
    if page.has_images:
        yield page
    else:
        yield Drop("page_left_without_images", "page", page.key)


def _judge_images(flow: Flow, pages: beam.PCollection, config: M3WConfig, evaluation: str) -> beam.PCollection:
    """Reads each image file once, however many pages show it, and drops those that break a rule."""

    def things(page: Page) -> list[tuple]:
        return [dataclasses.astuple(item.reference) for item in page.items if isinstance(item, Medium)]

    def answer(questions: beam.PCollection) -> beam.PCollection:
        files = asking.distinct(questions, "judge") | "judge: spread" >> beam.Reshuffle()
        judge = judging.Judge(config.images, True, config.decontamination, evaluation, config.safety)
        facts = flow.stage("judge images", files, functools.partial(_facts, judge=judge), count="images read")
        return picture_names.name(flow, facts, config.copies)

    apply = functools.partial(_apply_facts, config=config)
    return asking.ask(flow, "image files", pages, things, answer, apply)


def _facts(reference: tuple, judge: judging.Judge) -> Iterator[tuple[tuple, judging.Facts]]:
    yield reference, judge(Reference(*reference))


def _apply_facts(page: Page, facts: dict[tuple, judging.Facts], config: M3WConfig) -> Iterator[Page | Drop]:
    """Drops what breaks a rule, and what an earlier image of the page shows; or the page because of what it shows."""
    found = [facts[dataclasses.astuple(item.reference)] for item in page.items if isinstance(item, Medium)]
    rule = decontamination.page_reason(any(one.hits for one in found), config.decontamination)
    if safety.drops_page(config.safety) and any(one.rule == safety.IMAGE_UNSAFE for one in found):
        rule = "page_with_unsafe_image"
    if rule:
        yield Drop(rule, "page", page.key)
        return
    repeated = iter(image_duplicates.repeated([one.fingerprint for one in found if not one.rule], config.copies))
    of_image = iter(found)
    items = []
    for item in page.items:
        if isinstance(item, Medium):
            about = next(of_image)
            if rule := about.rule or ("image_repeated" if next(repeated) else ""):
                yield Drop(rule, "image", f"{page.key}: {item.source}", item.reference)
                continue
            item = dataclasses.replace(item, size=about.size, name=about.name, hits=about.hits)
        items.append(item)
    yield from _with_items(page, items)


def _drop_frequent_images(flow: Flow, pages: beam.PCollection, config: M3WConfig) -> beam.PCollection:
    """Drops images that stand on many pages, then the pages that are left without one."""

    def things(page: Page) -> list[str]:
        return [item.name for item in page.items if isinstance(item, Medium)]

    def apply(page: Page, frequent: dict) -> Iterator[Page | Drop]:
        items = []
        for item in page.items:
            if isinstance(item, Medium) and item.name in frequent:
                yield Drop("image_on_too_many_pages", "image", f"{page.key}: {item.source}", item.reference)
            else:
                items.append(item)
        yield from _with_items(page, items)

    def too_many(count: int, total: int) -> bool:
        return image_duplicates.too_many_pages(count, config.copies) or config.frequency.too_many(count, total)

    return asking.ask(flow, "frequent images", pages, things, _Frequent(pages, too_many, "images"), apply)


def _to_sketch(page: Page) -> Iterator:
    yield page.to_sketch()
