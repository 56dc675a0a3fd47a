"""Pages a second on one core: our extraction with all text rules, and trafilatura's, in turn on the same pages.

    python -m venv PEER && PEER/bin/pip install trafilatura lxml_html_clean selectolax py3langid
    PYTHONPATH=. PEER/bin/python benchmarks/extraction.py runs/open_web/raw/site

Ours is everything from a page's bytes to its paragraphs and image references in order: encoding, boilerplate, quality,
repetition and language, every family of rules on every page. Trafilatura's is `trafilatura.extract`, which gives text.
The two take turns after 16 pages, for each of which the fastest round counts, in seconds of this process: other work on
the machine matters little. The figures are in benchmarks/README.md.
"""

import argparse
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from data_pipelines.m3w import encoding, html, language_rules, repetition_rules, tangles, text_rules
from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.items import Paragraph, merge_paragraphs
from data_pipelines.m3w.language_rules import LanguageRules
from data_pipelines.m3w.repetition_rules import RepetitionRules
from data_pipelines.m3w.text_rules import PageText, TextRules

BATCH = 16  # pages, before it is the other's turn
BOILERPLATE, TEXT, REPETITION, LANGUAGE = BoilerplateRules(), TextRules(), RepetitionRules(), LanguageRules()


def without_language(encoded: bytes) -> PageText | None:
    """The page's items and what the rules of quality and repetition say; the text comes back for more."""
    text = encoding.decode(encoded)
    if text is None or tangles.is_tangled(text):
        return None
    extraction = html.extract(text, BOILERPLATE)
    paragraphs = merge_paragraphs(item for item in extraction.items if isinstance(item, Paragraph))
    list_items = sum(paragraph.kind == "list_item" for paragraph in paragraphs)
    page = PageText.of([paragraph.text for paragraph in paragraphs], list_items)
    text_rules.reason(page, TEXT)
    repetition_rules.reason(page, REPETITION)
    return page


def ours(encoded: bytes) -> None:
    """Everything."""
    if page := without_language(encoded):
        language_rules.reason("\n".join(page.lines), LANGUAGE)


def trafilatura_extract(*, fast: bool) -> Callable[[bytes], object]:
    """Trafilatura's function, without its comparison with other extractors where `fast`."""
    try:
        import trafilatura
    except ImportError as error:
        raise SystemExit(f"{error}. This benchmark has an environment of its own:\n{__doc__}") from None
    logging.disable()
    return lambda encoded: trafilatura.extract(encoded, fast=fast)


def seconds(way: Callable[[bytes], object], pages: list[bytes]) -> float:
    """Of this process, for some pages."""
    start = time.process_time()
    for page in pages:
        way(page)
    return time.process_time() - start


def row(name: str, sizes: list[int], fastest: list[list[float]]) -> str:
    """A line of the table."""
    everything, most, theirs = map(sum, zip(*fastest, strict=True))
    count = len(sizes)
    return (
        f"{name:10s} {count:6d} {sum(sizes) / count / 1e3:8.1f} {count / everything:7.0f} {count / most:17.0f}"
        f" {count / theirs:14.1f} {theirs / everything:6.1f} {theirs / most:17.1f}"
    )


def main() -> None:
    """Prints a line for each site, and one for all pages."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("folder", type=Path, help="a folder of folders of pages, one for each site")
    flags.add_argument("--rounds", type=int, default=3)
    flags.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th page only")
    flags.add_argument("--fast", action="store_true", help="trafilatura's fast mode")
    values = flags.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ways = (ours, without_language, trafilatura_extract(fast=values.fast))
    print("site        pages  KB/page  ours/s  without language  trafilatura/s  ratio  without language")
    sizes, fastest = [], []
    for site in sorted(path for path in values.folder.iterdir() if path.is_dir()):
        pages = [path.read_bytes() for path in sorted(site.rglob("*.htm*"))[:: values.every]]
        ours(pages[0])  # the first call loads the classifier of languages
        batches = [pages[start : start + BATCH] for start in range(0, len(pages), BATCH)]
        rounds = [[[seconds(way, batch) for way in ways] for batch in batches] for _ in range(values.rounds)]
        best = [list(map(min, zip(*times, strict=True))) for times in zip(*rounds, strict=True)]
        print(row(site.name, list(map(len, pages)), best), flush=True)
        sizes += map(len, pages)
        fastest += best
    print(row("all", sizes, fastest))


if __name__ == "__main__":
    main()
