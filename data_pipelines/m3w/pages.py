"""One page at a time: bytes to extraction, and the rules that need no other page. Pure functions."""

from collections.abc import Iterable

from data_pipelines.m3w import encoding, html, repetition_rules, tangles, text_rules
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.items import ImageReference, Paragraph, merge_paragraphs

# The longest real pages (single-page books) have about 10 MB; what is larger is data in disguise.
MAX_PAGE_BYTES = 32_000_000


def extract(encoded: bytes, config: M3WConfig) -> html.Extraction | str:
    """What a page holds, or the name of the rule that drops it unread."""
    if len(encoded) > MAX_PAGE_BYTES:
        return "page_too_many_bytes"
    if not encoded.strip():
        return "page_empty"
    text = encoding.decode(encoded)
    if text is None:
        return "page_undecodable"
    if tangles.is_tangled(text):
        return "page_tangled"
    extraction = html.extract(text, config.boilerplate)
    if not any(isinstance(item, ImageReference) for item in extraction.items):
        return "page_without_images"
    return extraction


def text_reason(items: Iterable, config: M3WConfig) -> str | None:
    """The quality or repetition rule that the page's text breaks, or None."""
    paragraphs = merge_paragraphs(item for item in items if isinstance(item, Paragraph))
    list_items = sum(paragraph.kind == "list_item" for paragraph in paragraphs)
    page = text_rules.PageText.of([paragraph.text for paragraph in paragraphs], list_items)
    return text_rules.reason(page, config.text) or repetition_rules.reason(page, config.repetition)
