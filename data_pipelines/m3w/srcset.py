"""Where an `<img>` may get its picture from: `src`, `srcset`, the sources of `<picture>`, and lazy loaders."""

import re
from collections.abc import Mapping, Sequence

# Attributes in which scripts that load images late keep the real address, while `src` holds a placeholder.
_LAZY = ("data-src", "data-original", "data-lazy-src", "data-lazy", "data-url")
_LAZY_SETS = ("data-srcset", "data-lazy-srcset")
_CANDIDATE = re.compile(r"\s*([^\s,](?:\S*[^\s,])?)(?:\s+([\d.]+)[wxh])?[^,]*(?:,|$)")


def parse(value: str) -> list[str]:
    """The URLs of a `srcset`, the largest first; without a descriptor a URL counts as 1x.

    URLs may hold commas (not at either end), as the HTML standard has it.
    """
    found = []
    for order, match in enumerate(_CANDIDATE.finditer(value)):
        try:
            size = float(match[2] or 1)
        except ValueError:
            size = 1.0
        found.append((-size, order, match[1]))
    return [url for _, _, url in sorted(found)]


def candidates(
    attributes: Mapping[str, str | None], sources: Sequence[Mapping[str, str | None]] = ()
) -> tuple[str, ...]:
    """The URLs of one image, the most likely first, each once.

    A lazy loader's address comes before `src`, which then holds a placeholder; `src` before `srcset`, because it is the
    size that the page's author chose as the default; the sources of an enclosing `<picture>` come last, because their
    formats are the newest and least supported.

    Args:
      attributes: those of the `<img>`.
      sources: the attributes of each `<source>` of the enclosing `<picture>`.
    """
    urls = [attributes.get(name) for name in _LAZY]
    for name in _LAZY_SETS:
        urls += parse(attributes.get(name) or "")
    urls.append(attributes.get("src"))
    urls += parse(attributes.get("srcset") or "")
    for source in sources:
        for name in (*_LAZY_SETS, "srcset"):
            urls += parse(source.get(name) or "")
    return tuple(dict.fromkeys(url.strip() for url in urls if url and url.strip()))
