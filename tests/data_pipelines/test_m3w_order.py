"""The walk against an independent one, item by item: embedded pages, generated HTML, and a folder of real pages.

    M3W_PAGES=runs/open_web/raw/site python -m pytest -s tests/data_pipelines/test_m3w_order.py -k folder

compares every page below a folder and says how many are equal, by subfolder.
"""

import collections
import os
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies

from data_pipelines.embedded_web.designs import render_page
from data_pipelines.embedded_web.pages import compose_page
from data_pipelines.m3w import encoding
from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.html import extract
from tests.data_pipelines.independent_walk import expected, observed

RULES = BoilerplateRules()
WORDS = ("a ", " b", "word word", "  ", " ", "1", "[1]", "¶", ".", " , more", "x\u200by", "The end. ", "\u00a0", "é»")
ATTRIBUTES = (
    *('class="sidebar"', 'class="caption"', 'class="classifier"', 'class="headerlink"', 'class="hidden md:block"'),
    *('class="note"', 'class="with-nav"', 'id="related-work"', 'role="main"', 'role="banner"', 'style="display:none"'),
    *("hidden", 'href="#x"', 'href="#y"', 'href="z"'),
)
IMAGES = ("<img src=a.png>", '<img src="b" srcset="c 2x, d 1x">', "<img data-src=e src=f>", "<img alt=none>")
BREAKS = ("<br>", "<br>", "<br><br>", "<hr>", "<wbr>", "<!-- c -->")
ROWS = ("tr", "thead", "tbody", "caption")
INLINE = ("span", "b", "i", "em", "a", "sup", "code", "label")
CONTAINERS = (
    *("div", "p", "ul", "ol", "li", "dl", "dt", "dd", "h1", "h2", "section", "article", "main", "header", "footer"),
    *("nav", "aside", "form", "blockquote", "pre", "details", "summary", "center", "figure", "figcaption", "picture"),
)


def element(tags, content) -> strategies.SearchStrategy[str]:
    """An element of one of the names with a few attributes; one in eight lacks its end tag."""
    attributes = strategies.lists(strategies.sampled_from(ATTRIBUTES), max_size=2, unique=True).map(" ".join)
    ends = strategies.sampled_from((True,) * 7 + (False,))
    return strategies.builds(
        lambda tag, values, inner, end: f"<{tag} {values}>{inner}" + f"</{tag}>" * end,
        strategies.sampled_from(tags),
        attributes,
        content,
        ends,
    )


def several(*parts: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    """Up to five of the parts in a row."""
    return strategies.lists(strategies.one_of(*parts), max_size=5).map("".join)


def grown(content: strategies.SearchStrategy[str]) -> strategies.SearchStrategy[str]:
    """What holds `content`, one level up. Rows of tables hold cells, because html5lib loses track of stray blocks."""
    cells = several(element(("td", "th"), content))
    table = strategies.builds("<table>{}</table>".format, several(element(ROWS, cells)))
    figure = strategies.builds(
        "<figure><figcaption>{}</figcaption>{}</figure>".format, content, strategies.sampled_from(IMAGES)
    )
    picture = strategies.builds(
        "<picture><source srcset={}>{}</picture>".format, strategies.integers(0, 9), strategies.sampled_from(IMAGES)
    )
    return several(content, element(INLINE, content), element(CONTAINERS, content), table, figure, picture)


LEAVES = several(*map(strategies.sampled_from, (WORDS, WORDS, IMAGES, BREAKS)))


@hypothesis.settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(strategies.recursive(LEAVES, grown, max_leaves=12))
def test_generated_pages_agree(body):
    html = f"<!doctype html><body>{body}"
    assert observed(extract(html, RULES)) == expected(html, RULES)


def test_embedded_pages_agree():
    pages = [compose_page(seed, number) for seed in range(4) for number in range(12)]
    related = tuple(page.path for page in pages[:3])
    texts = [encoding.decode(render_page(page, related)) for page in pages if page.drop != "empty"]
    found = [observed(extract(text, RULES)) for text in texts]
    assert found == [expected(text, RULES) for text in texts]
    assert sum(map(len, found)) > 10 * len(found)


@pytest.mark.skipif("M3W_PAGES" not in os.environ, reason="M3W_PAGES names no folder of pages")
def test_a_folder_of_pages_agrees():
    root = Path(os.environ["M3W_PAGES"])
    pages, different = collections.Counter(), collections.defaultdict(list)
    for path in sorted(root.rglob("*.htm*")):
        place = path.relative_to(root)
        text = encoding.decode(path.read_bytes())
        if text is None:
            continue
        pages[place.parts[0]] += 1
        if observed(extract(text, RULES)) != expected(text, RULES):
            different[place.parts[0]].append(str(place))
    for part, total in pages.items():
        print(f"\n{part}: {total - len(different[part])} of {total} pages agree", *different[part][:9], sep="\n  ")
    assert pages and not any(different.values())
