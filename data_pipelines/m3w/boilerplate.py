"""Which parts of a page are not its content: navigation, forms, code, hidden elements, link lists."""

import dataclasses
import functools
import re
from collections.abc import Mapping

# Dropped without being counted: they never hold prose.
MARKUP = "markup"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BY_TAG = {
    **dict.fromkeys(
        _names("""
            annotation area audio canvas embed head iframe map noscript object param rp rt script style svg template
            title track video
        """),
        MARKUP,
    ),
    **dict.fromkeys(_names("nav aside menu dialog"), "navigation"),
    **dict.fromkeys(_names("button input select textarea datalist fieldset progress meter"), "form"),
    **dict.fromkeys(_names("pre listing xmp plaintext"), "code"),
}
_ROLES = _names("navigation menu menubar search banner contentinfo complementary tablist toolbar dialog")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)

# Whole class names or ids. Sphinx, sphinx-gallery, DocBook, MediaWiki and the usual helpers for screen readers.
_PERMALINKS = _names(
    "headerlink anchorjs-link header-anchor heading-anchor mw-editsection viewcode-link footnote-reference"
)
_HIDDEN_CLASSES = _names("hidden sr-only visually-hidden visuallyhidden screen-reader-text screen-reader")
_NAVIGATION_CLASSES = _names("""
    skip-link skip-to-content skiplink back-to-top backtotop
    sphinxsidebar sphinxsidebarwrapper bd-sidebar prev-next-area prev-next-bottom toctree-wrapper localtable
    sphx-glr-download-link-note sphx-glr-footer sphx-glr-footer-example sphx-glr-download sphx-glr-signature
    sphx-glr-timing viewcode-back
    navheader navfooter
    mw-jump-link catlinks printfooter noprint navbox reflist
""")
_CODE_CLASSES = _names("highlight highlighttable codehilite sourcecode sphx-glr-script-out programlisting")
# Words of a class name or id, split at hyphens and underscores: "site-footer", "breadcrumbs_top".
_NAVIGATION_WORDS = _names("""
    sidebar breadcrumb breadcrumbs navbar navigation nav toc toctree pagination pager menu footer topbar cookie cookies
    newsletter subscribe social sharing share advert advertisement advertising ads banner promo sponsored popup modal
    comments related
""")
_WORD_BREAK = re.compile(r"[-_]+")
# Elements that are content whatever words their class has.
_NEVER_BY_CLASS = _names("html body main article h1 h2 h3 h4 h5 h6 p img figure a code")


@dataclasses.dataclass(frozen=True)
class BoilerplateRules:
    """Thresholds of boilerplate removal."""

    max_link_share: float = dataclasses.field(
        default=0.75,
        metadata={"help": "drop a paragraph when more than this share of its letters and digits is link text"},
    )


def reason(tag: str, attributes: Mapping[str, str | None], *, in_content: bool) -> tuple[str, bool] | None:
    """Why an element and all below it is not content, or None.

    Args:
      tag: the element's name in lower case.
      attributes: its attributes.
      in_content: whether it lies inside `main` or `article`, where a `header` holds the title of the text.

    Returns:
      (rule, sure): `sure` is False where the element may still be the wrapper of the whole page (a form, or a class
      name such as "with-sidebar"), which the caller can tell by the content that it holds.
    """
    if rule := _BY_TAG.get(tag):
        return rule, True
    if tag == "footer" or (tag == "header" and not in_content):
        return "navigation", True
    if tag == "form":
        return "form", False
    return _reason_by_attributes(tag, attributes) if attributes else None


def _reason_by_attributes(tag: str, attributes: Mapping[str, str | None]) -> tuple[str, bool] | None:
    if "hidden" in attributes or attributes.get("aria-hidden") == "true":
        return "hidden", True
    if (style := attributes.get("style")) and _HIDDEN_STYLE.search(style):
        return "hidden", True
    if attributes.get("role") in _ROLES:
        return "navigation", False
    if "class" not in attributes and "id" not in attributes:
        return None
    return _reason_by_names(tag, f"{attributes.get('class') or ''} {attributes.get('id') or ''}")


@functools.lru_cache(maxsize=4096)  # a page has few different classes, and many elements of each
def _reason_by_names(tag: str, text: str) -> tuple[str, bool] | None:
    names = text.lower().split()
    if not _PERMALINKS.isdisjoint(names) or (tag == "sup" and "reference" in names):
        return MARKUP, True
    if not _HIDDEN_CLASSES.isdisjoint(names):
        return "hidden", False
    if not _CODE_CLASSES.isdisjoint(names):
        return "code", True
    if not _NAVIGATION_CLASSES.isdisjoint(names):
        return "navigation", False
    if tag in _NEVER_BY_CLASS:
        return None
    if any(not _NAVIGATION_WORDS.isdisjoint(_WORD_BREAK.split(name)) for name in names):
        return "navigation", False
    return None


def is_link_dense(text_length: int, link_length: int, rules: BoilerplateRules) -> bool:
    """Whether a paragraph of `text_length` letters and digits, `link_length` of them in links, is a list of links."""
    return link_length > rules.max_link_share * text_length
