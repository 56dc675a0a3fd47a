"""Explicit content: addresses and words that give it away, and a classifier of the user's own.

The paper drops a page whole when its text, an image or a video fails filters for explicit content (Alayrac et al. 2022,
appendix A.3.1; Google's SafeSearch and others of its own). The addresses are OBELICS' (Laurençon et al. 2023, appendix
A.1.5). Toxic text is another matter, which neither filters here.
"""

import dataclasses
import functools
import importlib
import inspect
import numbers
import re
from collections.abc import Sequence
from typing import Any, Literal, Protocol
from urllib.parse import unquote

from data_pipelines.output import BuildError

DROP_PAGE, DROP_IMAGE = "drop_page", "drop_image"
IMAGE_UNSAFE = "image_unsafe"  # the rule of an image that the classifier scores too high
_METHODS = ("score_text", "score_image")
_WORD = re.compile(r"\w+")
_WORDS = (
    *("porn", "porno", "pornstar", "pornstars", "xxx", "hentai", "milf", "milfs", "blowjob", "blowjobs", "handjob"),
    *("handjobs", "cumshot", "cumshots", "creampie", "gangbang", "bukkake", "deepthroat", "camgirl", "camgirls"),
    *("fisting", "upskirt", "threesome", "dildo", "dildos", "bdsm", "orgy", "slut", "sluts"),
)


class Classifier(Protocol):
    """What `SafetyRules.classifier` names, or makes when it is called; one of the two methods may be missing."""

    def score_text(self, text: str) -> float:
        """How likely a page's text is explicit, in [0, 1]."""
        ...

    def score_image(self, encoded: bytes) -> float:
        """How likely an image file is explicit, in [0, 1]."""
        ...


@dataclasses.dataclass(frozen=True)
class SafetyRules:
    """What counts as explicit.

    Attributes:
      url_parts: drop what has one of these in its address, in any case.
      url_exceptions: harmless words that contain one; they are overlooked.
      words: explicit words, in lower case.
      max_word_share: drop a page when a greater share of its words is explicit: 1% is OBELICS' cutoff, so that a page
        may speak of such things.
      classifier: "package.module:name" of a `Classifier`, or of a class or function that makes one without arguments;
        each worker imports it. None where it is empty.
      max_text_score, max_image_score: drop what the classifier scores higher.
      image_hit: "drop_page", as the paper does, or "drop_image": what becomes of a page with an explicit image.
    """

    url_parts: tuple[str, ...] = ("porn", "sex", "xxx")
    url_exceptions: tuple[str, ...] = ("essex", "middlesex", "sussex", "wessex", "unisex", "sextant", "sextet")
    words: tuple[str, ...] = _WORDS
    max_word_share: float = 0.01
    classifier: str = ""
    max_text_score: float = 0.5
    max_image_score: float = 0.5
    image_hit: Literal["drop_page", "drop_image"] = DROP_PAGE

    def __post_init__(self):
        if self.image_hit not in (DROP_PAGE, DROP_IMAGE):
            raise ValueError(f"SafetyRules.image_hit must be {DROP_PAGE} or {DROP_IMAGE}, got {self.image_hit!r}")


def check(rules: SafetyRules) -> None:
    """Looks the classifier up without making it, for the beginning of a build.

    Raises:
      BuildError: it cannot be imported, or can score neither text nor images.
    """
    if rules.classifier:
        _find(rules.classifier)


def page_reason(url: str, text: str, rules: SafetyRules) -> str | None:
    """The rule that a page breaks, or None; the classifier is asked last.

    Args:
      url: the page's address or key.
      text: all of its text.
      rules: what counts as explicit.

    Raises:
      BuildError: the classifier is at fault.
    """
    if explicit_url(url, rules):
        return "page_url_explicit"
    if explicit_text(text, rules):
        return "page_text_explicit"
    if _score(rules.classifier, "score_text", text) > rules.max_text_score:
        return "page_text_unsafe"
    return None


def image_reason(urls: Sequence[str], encoded: bytes | None, rules: SafetyRules) -> str | None:
    """The rule that an image breaks, or None; `drops_page` says whether its page goes with it.

    Args:
      urls: its addresses, or what its document says about where it came from.
      encoded: its file; None looks at the addresses alone, before anything is fetched.
      rules: what counts as explicit.

    Raises:
      BuildError: the classifier is at fault.
    """
    if any(explicit_url(url, rules) for url in urls):
        return "image_url_explicit"
    if encoded is not None and _score(rules.classifier, "score_image", encoded) > rules.max_image_score:
        return IMAGE_UNSAFE
    return None


def drops_page(rules: SafetyRules) -> bool:
    """Whether an explicit image drops its page."""
    return rules.image_hit == DROP_PAGE


def explicit_url(url: str, rules: SafetyRules) -> bool:
    """Whether an address has one of the parts, percent-escapes decoded."""
    if url.startswith("data:"):
        return False  # any letters may stand in base64
    plain = unquote(url, errors="replace").casefold()
    for word in rules.url_exceptions:
        plain = plain.replace(word, " ")
    return any(part in plain for part in rules.url_parts)


def explicit_text(text: str, rules: SafetyRules) -> bool:
    """Whether too great a share of the words is explicit."""
    found = _WORD.findall(text.casefold())
    listed = frozenset(rules.words)
    return sum(word in listed for word in found) > rules.max_word_share * len(found)


def _score(name: str, method: str, content: Any) -> float:
    """What the classifier says; 0 if there is none, or none for such content."""
    if not name:
        return 0.0
    score = getattr(_make(name), method, None)
    if score is None:
        return 0.0
    value = score(content)
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise BuildError(f"SafetyRules.classifier {name}: {method} returned {value!r}, not a number in [0, 1]")
    return float(value)


@functools.cache
def _make(name: str) -> Any:
    found = _find(name)
    is_made = not inspect.isclass(found) and _can_score(found)
    made = found if is_made else found()
    if not _can_score(made):
        raise BuildError(f"SafetyRules.classifier {name}: what it makes has neither {' nor '.join(_METHODS)}")
    return made


def _find(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise BuildError(f"SafetyRules.classifier {name!r}: write it as package.module:name")
    try:
        found = importlib.import_module(module)
    except Exception as error:  # the module is the user's: it may fail in any way
        raise BuildError(
            f"SafetyRules.classifier {name}: cannot import {module} ({type(error).__name__}: {error}); is it "
            "installed, or its folder in PYTHONPATH, on every worker?"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BuildError(f"SafetyRules.classifier {name}: {module} has no {attribute}")
        found = getattr(found, part)
    if not (_can_score(found) or (callable(found) and not inspect.isclass(found))):
        raise BuildError(f"SafetyRules.classifier {name}: it has neither {' nor '.join(_METHODS)}")
    return found


def _can_score(thing: Any) -> bool:
    return any(callable(getattr(thing, method, None)) for method in _METHODS)
