"""Where an `<img>` may get its picture from: `src`, `srcset`, the sources of `<picture>`, and lazy loaders."""

import re
from collections.abc import Mapping, Sequence

# Attributes in which scripts that load images late keep the real address, while `src` holds a placeholder.
_LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-url")
_LAZY_SETS = ("data-srcset", "data-lazy-srcset")
_MAX_CANDIDATES = 32  # real sets have ten sizes at most
_UNUSUAL = frozenset((*_LAZY, *_LAZY_SETS, "srcset"))
_DESCRIPTOR = re.compile(r"(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})[wxh]")


def parse(value: str) -> list[str]:
    """The URLs of a `srcset`, the largest first; without a descriptor a URL counts as 1x.

    URLs may hold commas (not at either end), as the HTML standard has it. Time is linear in the value's length.
    """
    urls: list[str] = []
    sizes: list[float] = []
    wants_url, sized = True, False
    for token in value.split():
        if not wants_url:
            descriptor, comma, token = token.partition(",")
            if not sized and (match := _DESCRIPTOR.fullmatch(descriptor)):
                sizes[-1] = float(match[1])
                sized = True
            if not comma:
                continue
        wants_url, sized = True, False
        if url := token.strip(","):
            urls.append(url)
            sizes.append(1.0)
            wants_url = token.endswith(",")
    return [url for _, url in sorted(zip(sizes, urls, strict=True), key=lambda found: -found[0])]


def candidates(
    attributes: Mapping[str, str | None], sources: Sequence[Mapping[str, str | None]] = ()
) -> tuple[str, ...]:
    """The URLs of one image, the most likely first, each once, 32 at most.

    A lazy loader's address comes before `src`, which then holds a placeholder; `src` before `srcset`, because it is the
    size that the page's author chose as the default; the sources of an enclosing `<picture>` come last, because their
    formats are the newest and least supported.

    Args:
      attributes: those of the `<img>`.
      sources: the attributes of each `<source>` of the enclosing `<picture>`.
    """
    if not sources and _UNUSUAL.isdisjoint(attributes):
        url = (attributes.get("src") or "").strip()
        return (url,) if url else ()
    urls = [attributes.get(name) for name in _LAZY]
    for name in _LAZY_SETS:
        urls += parse(attributes.get(name) or "")
    urls.append(attributes.get("src"))
    urls += parse(attributes.get("srcset") or "")
    for source in sources:
        for name in (*_LAZY_SETS, "srcset"):
            urls += parse(source.get(name) or "")
    return tuple(dict.fromkeys(url.strip() for url in urls if url and url.strip()))[:_MAX_CANDIDATES]
