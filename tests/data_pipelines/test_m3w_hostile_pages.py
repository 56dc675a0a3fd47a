"""Pages made to take time: extraction stays linear, and what no parser reads in linear time is dropped unread."""

import math
import time
import tracemalloc

import pytest
from selectolax.lexbor import LexborHTMLParser

from data_pipelines.m3w import pages, srcset, tangles
from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.html import extract
from data_pipelines.m3w.items import Paragraph, merge_paragraphs
from tests.patience import within

# Each takes up to 0.3 s with n = 8,000. Different classes are more than are remembered, whatever the n.
LINEAR = {
    "one long text": lambda n: f"<p>{'word ' * 50 * n}",
    "one long space": lambda n: f"<p>{' ' * 500 * n}",
    "one long link": lambda n: f"<p><a href='#x'>{'¶' * 100 * n}</a>",
    "paragraphs": lambda n: "<p>some text</p>" * n,
    "line breaks": lambda n: "text<br>" * 4 * n,
    "images in one paragraph": lambda n: f"<p>{'a <img src=a>' * n}",
    "marks": lambda n: f"<p>x{'<a href=#f>1 </a><a href=#f>[1]</a> ' * n}",
    "links": lambda n: "<a href=x>text" * n,
    "navigation": lambda n: "<nav>x</nav>" * n,
    "different classes": lambda n: "".join(f"<div class='c{index} d' id='i{index}'>x</div>" for index in range(4 * n)),
    "tags without end": lambda n: f"<b>{'<b>' * 4 * n}x",
    "captions before an image": lambda n: f"<figure>{'<figcaption>c</figcaption>' * n}<img src=a></figure>",
    "images of a picture": lambda n: f"<picture>{'<source srcset=a><img src=b>' * n}",
    "sources of a picture": lambda n: f"<picture>{'<source srcset=a>' * 2 * n}<img src=b>",
    "long classes": lambda n: f'<div class="{"sidebar-x " * 50 * n}">x</div>',
    "long style": lambda n: f'<div style="{"display  " * 50 * n}">x</div>',
    "table": lambda n: f"<table>{'<tr><td>a<td>b' * n}",
    "several mains": lambda n: "<main>x</main>" * n,
    "runs of spaces in a srcset": lambda n: f'<img srcset="{" " * 500 * n}, a">',
    "long srcset": lambda n: f'<img srcset="{"a 1x, " * 10 * n}">',
}
TANGLED = {
    "nested": "<div>" * 100_000 + "x" + "</div>" * 100_000,
    "nested lists": "<ul><li>" * 40_000,
    "formats without end": "".join(f"<font size={number}>x<p>" for number in range(4_000)),
    "options": "<select>" + "<option>x</option>" * 40_000,
    "attributes": f"<p {' '.join(f'a{number}=1' for number in range(40_000))}>",
    "attributes of many bodies": "".join(f"<body a{number}=1>" for number in range(30_000)),
}


def seconds(html: str) -> float:
    """Of this process."""
    start = time.process_time()
    merge_paragraphs(item for item in extract(html, BoilerplateRules()).items if isinstance(item, Paragraph))
    return time.process_time() - start


@pytest.mark.parametrize("shape", LINEAR)
def test_four_times_as_much_takes_about_four_times_as_long(shape):
    short, long = LINEAR[shape](2_000), LINEAR[shape](8_000)
    assert not tangles.is_tangled(long)
    least = [math.inf, math.inf]  # others who use the machine only ever add to it
    for turn in range(20):
        least = [min(before, seconds(html)) for before, html in zip(least, (short, long), strict=True)]
        if turn > 1 and least[1] < 8 * least[0] + 0.02:  # quadratic time is 16 times as long
            return
    pytest.fail(f"{least[0]:.3f} s and {least[1]:.3f} s")


@pytest.mark.parametrize("shape", TANGLED)
def test_tangled_pages_are_dropped_in_a_moment(shape):
    with within(1.5, time.process_time):  # 0.1 s on an idle machine
        assert pages.extract(TANGLED[shape].encode(), M3WConfig()) == "page_tangled"


@pytest.mark.parametrize(
    "html",
    [
        "<p>Old pages end no paragraph.<br>" * 10_000,
        "<a name=x>Nor their anchors." * 10_000,
        "<table>" + "<tr><td><font size=1>text" * 20_000,
        "<p><b>Bold<b> and <i>more<i> wrongly ended</p>" * 3_000,
        "<svg>" + "<path d='M0 0'/>" * 40_000 + "</svg>",
        "<script>" + r"'<div><p>x<\/p><\/div>';" * 40_000 + "</script>",
        "<div><p>flat</p></div>" * 200_000,
        f'<div data-page="{"a = b / c; " * 20_000}"></div>',
    ],
)
def test_careless_pages_are_not_taken_for_tangled_ones(html):
    assert not tangles.is_tangled(html)


def test_what_is_dropped_would_be_out_of_proportion():
    """The estimate of nodes that begin anew is the parser's number of them."""
    html = "".join(f"<font size={number}>x<p>" for number in range(400))
    nodes = sum(1 for _ in LexborHTMLParser(html).root.traverse())
    estimate = tangles.work(html) / 100
    assert 0.5 * nodes < estimate < 2 * nodes


def test_megabytes_of_class_names_are_not_kept():
    html = "".join(f'<p class="{number} {"x" * 1_000_000}">text</p>' for number in range(20))
    tracemalloc.start()
    try:
        assert len(extract(html, BoilerplateRules()).items) == 20
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", [" ", ",", ", ", " ,", "9", "a,", "a ", "x,"])
def test_srcset_takes_linear_time_for_any_run_of_its_characters(unit):
    with within(1, time.process_time):
        srcset.parse("a " + unit * 200_000 + " b")
