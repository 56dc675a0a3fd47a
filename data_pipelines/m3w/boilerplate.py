"""Which elements of a page are not its content: navigation, forms, code, hidden elements, the marks of links."""

import dataclasses
import functools
import re
from collections.abc import Mapping

# Dropped without being counted: markup never holds prose, a mark is the sign of a permalink or of a footnote.
MARKUP = "markup"
MARK = "mark"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BY_TAG = {
    **dict.fromkeys(
        _names("""
            annotation annotation-xml area audio canvas embed head iframe map noscript object param rp rt script style
            svg template title track video
        """),
        (MARKUP, True),
    ),
    **dict.fromkeys(_names("nav aside menu dialog footer search"), ("navigation", True)),
    **dict.fromkeys(_names("button input select textarea datalist fieldset progress meter"), ("form", True)),
    **dict.fromkeys(_names("pre listing xmp plaintext"), ("code", True)),
    "header": ("navigation", False),
    "form": ("form", False),
}
_ROLES = _names("""
    navigation menu menubar search banner contentinfo complementary tablist tab toolbar dialog alertdialog
""")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_TELLING = _names("hidden aria-hidden style role")  # besides the class, and the id of some elements

# Whole class names. Sphinx and its themes, sphinx-gallery, DocBook, Javadoc, MediaWiki, and the usual helpers for
# screen readers.
_MARKS = _names("""
    headerlink anchorjs-link header-anchor heading-anchor heading-link anchor-link hash-link deep-link mw-editsection
    viewcode-link footnote-reference footnote-ref footnote-backref fn-backref footref noteref
""")
_HIDDEN_CLASSES = _names("""
    hidden d-none sr-only visually-hidden visuallyhidden screen-reader-text screen-reader element-invisible
""")
# "hidden md:block" and "d-none d-lg-flex": hidden on small screens alone.
_SHOWN = re.compile(r"(?:(?:sm|md|lg|xl|2xl):|d-(?:sm|md|lg|xl|xxl)-)(?:block|flex|grid|inline|table|contents)")
_NAVIGATION_CLASSES = _names("""
    skip-link skip-to-content skiplink back-to-top backtotop hideme edit-page-link edit-this-page theme-edit-this-page
    edit-on-github rst-versions version-switcher
    sphinxsidebar sphinxsidebarwrapper bd-sidebar prev-next-area prev-next-bottom toctree-wrapper localtable
    sphx-glr-download-link-note sphx-glr-footer sphx-glr-footer-example sphx-glr-download sphx-glr-signature
    sphx-glr-timing viewcode-back
    navheader navfooter topnav subnav bottomnav navpath
    mw-jump-link catlinks printfooter noprint navbox reflist sharedaddy jp-relatedposts
""")
_CODE_CLASSES = _names("sphx-glr-script-out linenos linenodiv lineno linenumber line-numbers syntaxhighlighter")
# Words of a class name or id, split at hyphens, underscores and humps: "site-footer", "breadcrumbs_top", "leftSidebar".
_NAVIGATION_WORDS = _names("""
    sidebar breadcrumb breadcrumbs navbar navigation nav toc toctree pagination pager menu footer topbar cookie cookies
    consent gdpr newsletter subscribe social sharing share advert advertisement advertising ads banner promo sponsored
    popup modal comments related
""")
_WORD_BREAK = re.compile(r"[-_]+|(?<=[a-z0-9])(?=[A-Z][a-z]{3})")
_NOTE_WORDS = _names("topic admonition note tip warning caution important footnote footnotes callout example exercise")
_NOTE_ROLES = _names("note doc-footnote doc-endnotes doc-tip")
# Elements that are content whatever words their class has: whole parts of a page, and what stands within a sentence.
_NEVER_BY_WORDS = _names("""
    html body main article h1 h2 h3 h4 h5 h6 p img figure a
    abbr b bdi bdo big cite code data del dfn em font i ins kbd label mark q s samp small span strike strong sub sup
    time tt u var
""")
# Only here is an id a name for a part of the layout. Elsewhere it is the slug of a heading: "related-work".
_NAMED_BY_ID = _names("div ul ol dl table td")
_SECTION = re.compile(r"\b(?:section|sect\d|level\d|chapter|appendix)\b")
_SIGN = re.compile(r"[\W_]*|\s*\[[\d,\s]+\]\s*")
_RAISED_NUMBER = re.compile(r"[\W_\d]*")
_MARK_CHARACTERS = 40  # longer texts are no marks
_NAME_CHARACTERS = 1_000  # of a class or id that are read


@dataclasses.dataclass(frozen=True)
class BoilerplateRules:
    """Thresholds of boilerplate removal.

    Attributes:
      max_link_share: drop a paragraph when more than this share of its letters and digits is link text.
    """

    max_link_share: float = 0.75


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
    if (
        (found := _BY_TAG.get(tag))
        and not (tag == "header" and in_content)
        and not (tag == "aside" and _is_note(attributes))
    ):
        return found
    return reason_by_attributes(tag, attributes) if attributes else None


def is_suspect(tag: str) -> bool:
    """Whether `reason` says more of an element of this name than `reason_by_attributes` does."""
    return tag in _BY_TAG


def telling_attributes(tag: str) -> frozenset[str]:
    """The attributes that `reason_by_attributes` reads, besides the class."""
    return _TELLING | {"id"} if tag in _NAMED_BY_ID else _TELLING


def is_mark(text: str, *, raised: bool) -> bool:
    """Whether a link within the page is a sign alone: no letter or digit, a number in brackets, or a raised number."""
    return len(text) <= _MARK_CHARACTERS and bool((_RAISED_NUMBER if raised else _SIGN).fullmatch(text))


def reason_by_attributes(tag: str, attributes: Mapping[str, str | None]) -> tuple[str, bool] | None:
    """What `reason` says of an element whose name alone says nothing."""
    if not _TELLING.isdisjoint(attributes):
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return "hidden", True
        if (style := attributes.get("style")) and _HIDDEN_STYLE.search(style):
            return "hidden", True
        if (role := attributes.get("role")) and role.strip().lower() in _ROLES:
            return "navigation", False
    names = attributes.get("class") or ""
    if names and (found := _reason_by_classes(tag, names[:_NAME_CHARACTERS])):
        return found
    if tag in _NAMED_BY_ID and (name := attributes.get("id")) and not _SECTION.search(names[:_NAME_CHARACTERS]):
        return _reason_by_id(name[:_NAME_CHARACTERS])
    return None


@functools.lru_cache(maxsize=4096)  # a page has few different classes, and many elements of each
def _reason_by_classes(tag: str, text: str) -> tuple[str, bool] | None:
    names = text.lower().split()
    if not _MARKS.isdisjoint(names) or (tag == "sup" and "reference" in names):
        return MARK, True
    if not _HIDDEN_CLASSES.isdisjoint(names) and not any(map(_SHOWN.fullmatch, names)):
        return "hidden", False
    if not _CODE_CLASSES.isdisjoint(names):
        return "code", True
    if not _NAVIGATION_CLASSES.isdisjoint(names):
        return "navigation", False
    if tag not in _NEVER_BY_WORDS and not _NAVIGATION_WORDS.isdisjoint(_words(text)):
        return "navigation", False
    return None


@functools.lru_cache(maxsize=1024)
def _reason_by_id(text: str) -> tuple[str, bool] | None:
    return None if _NAVIGATION_WORDS.isdisjoint(_words(text)) else ("navigation", False)


def _words(text: str) -> list[str]:
    return [word.lower() for name in text.split() for word in _WORD_BREAK.split(name)]


def _is_note(attributes: Mapping[str, str | None]) -> bool:
    """Whether an `aside` is a box in the text, not one beside it."""
    names = (attributes.get("class") or "")[:_NAME_CHARACTERS]
    return attributes.get("role") in _NOTE_ROLES or not _NOTE_WORDS.isdisjoint(_words(names))
