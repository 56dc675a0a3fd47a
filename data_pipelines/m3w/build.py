"""A folder of web pages to documents: page by page, then what only the whole corpus can tell, then image by image."""

import dataclasses
import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from data_pipelines import inputs, progress
from data_pipelines.building import Collected
from data_pipelines.drops import Drops
from data_pipelines.m3w import html, image_rules, pages, resolve
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.frequency_rules import too_frequent
from data_pipelines.m3w.items import Paragraph, merge_paragraphs
from data_pipelines.output import BuildError
from flamingo_jax.data.document import Document, Image, Text

_SUFFIXES = (".html", ".htm", ".xhtml")
_DIGITS = re.compile(r"\d+")


@dataclasses.dataclass(frozen=True, slots=True)
class ImageFile:
    """An image that passed the file rules: its path relative to the input folder and a hash of its bytes."""

    source: str
    digest: str


def find_pages(files: Sequence[str], root: Path) -> list[str]:
    """The pages among the files, in order.

    Raises:
      BuildError: there is none.
    """
    found = [name for name in files if name.lower().endswith(_SUFFIXES)]
    if not found:
        raise BuildError(f"--input {root} has no page: no file ends in {', '.join(_SUFFIXES)}")
    return found


def collect(root: Path, keys: Sequence[str], config: M3WConfig) -> Collected:
    """Applies every rule to the pages `keys` below `root`. The order of the rules is the paper's."""
    drops = Drops()
    extracted = _extract_pages(root, keys, config, drops)
    extracted = _drop_frequent_paragraphs(extracted, config, drops)
    extracted = _drop_by_text(extracted, config, drops)
    resolved = _resolve_images(root, extracted, config, drops)
    documents = _drop_frequent_images(resolved, config, drops)
    kept = {
        "pages": len(documents),
        "paragraphs": sum(isinstance(item, Paragraph) for items in documents.values() for item in items),
        "images": sum(isinstance(item, ImageFile) for items in documents.values() for item in items),
    }
    return Collected(sorted(documents), functools.partial(_load, root, documents), kept, drops)


def _extract_pages(root: Path, keys: Sequence[str], config: M3WConfig, drops: Drops) -> dict[str, html.Extraction]:
    extracted = {}
    for key in progress.bar(keys, "reading pages", "pages"):
        if not inputs.is_inside(root, root / key):
            drops.add("page_outside_input", "page", key)
            continue
        try:
            encoded = (root / key).read_bytes()
        except OSError:
            drops.add("page_unreadable", "page", key)
            continue
        result = pages.extract(encoded, config)
        if isinstance(result, str):
            drops.add(result, "page", key)
            continue
        extracted[key] = result
        for rule, count in result.dropped.items():
            example = result.dropped_examples.get(rule)
            drops.add(rule, "paragraph", f"{key}: {example}" if example else "", count)
    return extracted


def _drop_frequent_paragraphs(
    extracted: dict[str, html.Extraction], config: M3WConfig, drops: Drops
) -> dict[str, html.Extraction]:
    """Drops paragraphs that stand on many pages, their digits aside; headings and captions may."""

    def repeats(item) -> bool:
        return isinstance(item, Paragraph) and item.kind in ("text", "list_item")

    def pattern(item: Paragraph) -> str:
        return _DIGITS.sub("0", item.text)

    frequent = too_frequent(
        ((pattern(item) for item in page.items if repeats(item)) for page in extracted.values()), config.frequency
    )
    remaining = {}
    for key, page in extracted.items():
        items = []
        for item in page.items:
            if repeats(item) and pattern(item) in frequent:
                drops.add("paragraph_on_too_many_pages", "paragraph", item.text)
            else:
                items.append(item)
        remaining[key] = dataclasses.replace(page, items=tuple(items))
    return remaining


def _drop_by_text(extracted: dict[str, html.Extraction], config: M3WConfig, drops: Drops) -> dict[str, html.Extraction]:
    remaining = {}
    for key, page in extracted.items():
        if rule := pages.text_reason(page.items, config):
            drops.add(rule, "page", key)
        else:
            remaining[key] = page
    return remaining


def _resolve_images(
    root: Path, extracted: dict[str, html.Extraction], config: M3WConfig, drops: Drops
) -> dict[str, list[Paragraph | ImageFile]]:
    """Replaces references by files; each file is read and judged once."""
    judged: dict[str, tuple[str, str]] = {}
    resolved: dict[str, list[Paragraph | ImageFile]] = {}
    for key, page in progress.bar(extracted.items(), "checking images", "pages"):
        items = resolved[key] = []
        for item in page.items:
            if isinstance(item, Paragraph):
                items.append(item)
                continue
            found = resolve.resolve(root, key, page.base, item.candidates)
            rule, digest = found.rule, ""
            if not rule:
                if found.source not in judged:
                    judged[found.source] = _judge(root / found.source, config.images)
                rule, digest = judged[found.source]
            if rule:
                drops.add(rule, "image", f"{key}: {found.source or item.candidates[0]}")
            else:
                items.append(ImageFile(found.source, digest))
    return resolved


def _judge(path: Path, rules: image_rules.ImageRules) -> tuple[str, str]:
    """(the rule that an image file breaks or "", the hash of its bytes)."""
    try:
        if rule := image_rules.bad_bytes(path.stat().st_size, rules):
            return rule, ""
        encoded = path.read_bytes()
    except OSError:
        return "image_unreadable", ""
    return image_rules.reason(encoded, rules) or "", hashlib.blake2b(encoded, digest_size=16).hexdigest()


def _drop_frequent_images(
    resolved: dict[str, list[Paragraph | ImageFile]], config: M3WConfig, drops: Drops
) -> dict[str, list[Paragraph | ImageFile]]:
    """Drops images that stand on many pages, then the pages that are left without one."""
    frequent = too_frequent(
        ((item.digest for item in items if isinstance(item, ImageFile)) for items in resolved.values()),
        config.frequency,
    )
    documents = {}
    for key, items in resolved.items():
        kept = []
        for item in items:
            if isinstance(item, ImageFile) and item.digest in frequent:
                drops.add("image_on_too_many_pages", "image", f"{key}: {item.source}")
            else:
                kept.append(item)
        if any(isinstance(item, ImageFile) for item in kept):
            documents[key] = merge_paragraphs(kept)
        else:
            drops.add("page_left_without_images", "page", key)
    return documents


def _load(root: Path, documents: dict[str, list[Paragraph | ImageFile]], key: str) -> Document:
    return Document(
        key,
        tuple(
            Text(item.text) if isinstance(item, Paragraph) else Image((root / item.source).read_bytes(), item.source)
            for item in documents[key]
        ),
    )
