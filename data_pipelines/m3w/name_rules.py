"""Images whose names say that they belong to the site and not to the text: logos, buttons, icons.

The words are OBELICS' (Laurençon et al. 2023, appendix A.1.3), which looks for them anywhere in the address. Here they
must stand as words, so that neither `iconic-bridge.jpg` nor `catalogo/4.jpg` is taken for one.
"""

import dataclasses
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_LETTERS = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclasses.dataclass(frozen=True)
class NameRules:
    """Which words in an image's address drop it.

    Attributes:
      words: in lower case; their plurals in -s count as well. None lets every image through.
      segments: how many of the last parts of the path are looked at: 1 is the file's name, 2 its folder, too.
    """

    words: tuple[str, ...] = ("logo", "button", "icon", "favicon", "plugin", "widget")
    segments: int = 2


def words(url: str, segments: int) -> frozenset[str]:
    """The words in the last parts of an address' path, in lower case.

    A word is a run of letters; `siteLogo` and `PNGIcon` are two each. Query and fragment are not looked at.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return frozenset()
    if segments < 1 or parts.scheme == "data":
        return frozenset()
    path = unquote(parts.path, errors="replace").replace("\\", "/")
    last = [part for part in path.split("/") if part][-segments:]
    runs = (run for part in last for run in _LETTERS.findall(part))
    return frozenset(word.casefold() for run in runs for word in _HUMP.split(run))


def reason(urls: Iterable[str], rules: NameRules) -> str | None:
    """The rule that an image with one of these addresses breaks, or None."""
    unwanted = {form for word in rules.words for form in (word, f"{word}s")}
    return "image_name_unwanted" if any(unwanted & words(url, rules.segments) for url in urls) else None
