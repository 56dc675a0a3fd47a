"""The walk of a page: order, paragraphs, boilerplate, image references."""

import pytest

from data_pipelines.m3w import srcset
from data_pipelines.m3w.boilerplate import BoilerplateRules
from data_pipelines.m3w.html import extract
from data_pipelines.m3w.items import ImageReference, Paragraph, merge_paragraphs


def walk(body: str) -> list[str]:
    """The page's items as text, images as [url]."""
    items = extract(f"<html><head><title>No</title></head><body>{body}</body></html>", BoilerplateRules()).items
    return [item.text if isinstance(item, Paragraph) else f"[{item.candidates[0]}]" for item in items]


def test_document_order_with_nested_blocks():
    body = """<h1>Title</h1><div>Loose text <b>bold</b><p>First.</p>tail<img src=a.png><ul><li>One<li>Two</ul></div>
    <blockquote><p>Said.</p></blockquote><section><img src="b.png"><p>Last.</p></section>"""
    assert walk(body) == [
        "Title",
        "Loose text bold",
        "First.",
        "tail",
        "[a.png]",
        "One",
        "Two",
        "Said.",
        "[b.png]",
        "Last.",
    ]


def test_white_space_entities_and_invisible_characters():
    assert walk("<p>  a\n\t b&nbsp;&nbsp;c &amp; d&shy;e\u200bf <i>g</i>h</p>") == ["a b c & def gh"]


def test_an_image_parts_a_paragraph_and_its_loss_joins_it_again():
    items = extract("<p>before <img src=x.png> after</p><p>next</p>", BoilerplateRules()).items
    assert [type(item) for item in items] == [Paragraph, ImageReference, Paragraph, Paragraph]
    merged = merge_paragraphs([item for item in items if isinstance(item, Paragraph)])
    assert [item.text for item in merged] == ["before after", "next"]
    assert merge_paragraphs(list(items)) == list(items)
    parted = extract("<p>on <img src=x>, then <img src=y>.</p>", BoilerplateRules()).items
    (whole,) = merge_paragraphs(item for item in parted if isinstance(item, Paragraph))
    assert whole.text == "on, then." and whole.block == parted[0].block


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<figure><figcaption>Cap</figcaption><img src=a.png></figure><p>Next</p>", ["[a.png]", "Cap", "Next"]),
        ("<figure><a href=x><img src=a.png></a><figcaption>Cap</figcaption></figure>", ["[a.png]", "Cap"]),
        (
            "<figure><img src=a><figcaption>A</figcaption><img src=b><figcaption>B</figcaption></figure>",
            ["[a]", "A", "[b]", "B"],
        ),
        ("<figure><figcaption>Only words</figcaption></figure>", ["Only words"]),
        ("<figure><div><img src=a></div><figcaption>A</figcaption><img src=b></figure>", ["[a]", "A", "[b]"]),
        ("<div class=figure><img src=a alt='no text'><p class=caption><a href=x>Link</a></p></div>", ["[a]", "Link"]),
    ],
)
def test_captions_come_after_their_image(body, expected):
    assert walk(body) == expected


def test_a_footnote_mark_goes_with_the_space_before_it():
    mark = '<a class="footnote-reference" href="#f">1</a>'
    assert walk(f"<p>as shown {mark}. And {mark}, too {mark} there</p>") == ["as shown. And, too there"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shown {}.", "shown."),
        ("shown{}, {} {}!", "shown,!"),
        ("shown {} there", "shown there"),
        ("shown{}there", "shownthere"),
        ("{} shown {}", "shown"),
        ("shown\u200b {}\u200b.", "shown."),
    ],
)
def test_marks_go_with_the_white_space_before_punctuation(text, expected):
    assert walk(f"<p>{text.replace('{}', '<a href=#f>[1]</a>')}</p>") == [expected]


def test_a_wrapper_is_known_by_main_or_else_by_article_or_title():
    assert walk("<div class=with-nav><h1>A long logo</h1></div><div class=nav-page><main>kept</main></div>") == ["kept"]
    assert walk("<div class=with-nav><h1>Title</h1><p>kept</p></div>") == ["Title", "kept"]


@pytest.mark.parametrize("main", ["<main>{}</main>", "<div><span role=main>{}</span></div>"])
def test_main_is_the_page_if_it_holds_half_of_the_text(main):
    around = "<p>Docs for 1.0</p><img src=logo.png>{}<p>Built with</p>"
    html = around.format(main.format("<p>All that the page is about</p><img src=a.png>"))
    page = extract(html, BoilerplateRules())
    assert walk(html) == ["All that the page is about", "[a.png]"]
    assert page.dropped == {"outside_main": 2} and page.dropped_examples["outside_main"] == "Docs for 1.0"
    assert walk("<p>four</p>" + main.format("half")) == ["half"]
    assert walk(around.format(main.format("<p>Short</p>"))) == ["Docs for 1.0", "[logo.png]", "Short", "Built with"]
    assert walk(around.format(main.format("<img src=a.png>"))) == [
        "Docs for 1.0",
        "[logo.png]",
        "[a.png]",
        "Built with",
    ]


def test_a_paragraph_is_judged_as_a_whole_when_an_image_parts_it():
    assert walk('<p>Click on the icon <img src=a> <a href="x">here</a>.</p>') == ["Click on the icon", "[a]", "here."]
    assert walk('<p><a href="x">One</a> <img src=a> <a href="y">Two</a></p>') == ["[a]"]
    assert walk("<p>1 <img src=a> 2</p>") == ["[a]"]


def test_line_breaks():
    assert walk("<p>one<br>line<br> <br>other<br/><br/>third</p>") == ["one line", "other", "third"]
    for between, blocks in (("<br><img src=a><br>", 1), ("<img src=a><br><br>", 2)):
        items = extract(f"<p>one{between}two</p>", BoilerplateRules()).items
        assert len({item.block for item in items if isinstance(item, Paragraph)}) == blocks


def test_table_rows_are_paragraphs_unless_cells_hold_blocks():
    rows = "<tr><th>Name<th>Age</tr><tr><td>Ann<td>7</tr><tr><td><p>Prose</p></td><td><img src=a.png></td></tr>"
    assert walk(f"<table>{rows}</table>") == ["Name Age", "Ann 7", "Prose", "[a.png]"]


@pytest.mark.parametrize(
    "block",
    [
        "<nav><p>gone</p></nav>",
        "<header><p>gone</p></header>",
        "<footer>gone<img src=logo.png></footer>",
        "<aside>gone</aside>",
        "<form><p>gone</p><input value=gone></form>",
        "<script>gone</script><style>gone</style><noscript><img src=gone.gif></noscript>",
        "<template><p>gone</p></template>",
        "<!-- gone -->",
        "<div hidden>gone</div>",
        '<p aria-hidden="true">gone</p>',
        '<p style="color:red; DISPLAY : none">gone</p>',
        '<span class="sr-only">gone</span>',
        '<div class="bd-sidebar">gone<img src=gone.png></div>',
        '<div class="site-footer">gone</div>',
        '<div id="cookie_notice">gone</div>',
        '<div role="navigation">gone</div>',
        '<div class="toctree-wrapper compound"><ul><li>gone</ul></div>',
        '<p class="sphx-glr-timing">gone</p>',
        '<div class="sphx-glr-footer sphx-glr-footer-example">gone</div>',
        '<a class="headerlink" href="#x">¶</a>',
        '<a class="footnote-reference brackets" href="#id1">1</a>',
        '<div class="highlight"><pre><span class="k">gone</span></pre></div>',
        "<pre>gone</pre>",
        "<p>* * *</p>",
        '<div class="leftSidebar">gone</div>',
        '<div id="siteFooter">gone</div>',
        '<div class="d-none">gone</div>',
        '<div role=" Tablist "><span>gone</span></div>',
        '<a href="#here"> ¶ </a>',
        '<a href="#ref">[12]</a>',
        '<sup><a href="#fn1">3</a></sup>',
        '<span class="mw-editsection">[edit]</span>',
        '<aside class="note sidebar">gone</aside>',
        '<ul><li><a href="a">gone</a></li><li><a href="b">gone too</a></li></ul>',
        '<p><a href="a">gone</a> | <a href="b">gone</a> | <a href="c">gone</a></p>',
    ],
)
def test_boilerplate_is_dropped(block):
    assert walk(f"<p>before</p>{block}<p>after</p>") == ["before", "after"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("<main><header><h1>Title</h1></header><p>x</p></main>", ["Title", "x"]),
        ('<div class="with-sidebar"><main><p>kept</p></main></div>', ["kept"]),
        ('<form id="aspnet"><div><h1>Whole page</h1><p>kept</p></div></form>', ["Whole page", "kept"]),
        ("<p>Use the <code>fit</code> method.</p>", ["Use the fit method."]),
        ('<p>A sentence with a <a href="x">link</a> in it.</p>', ["A sentence with a link in it."]),
        ('<h2><a href="x">A linked heading</a></h2>', ["A linked heading"]),
        ('<p class="adds-menus">kept</p>', ["kept"]),
        ("<details><summary>More</summary>kept</details>", ["More", "kept"]),
        ('<div class="hidden md:block">kept</div>', ["kept"]),
        ('<div class="d-none d-lg-flex">kept</div>', ["kept"]),
        ('<aside class="topic"><p>kept</p></aside><aside role="doc-footnote">too</aside>', ["kept", "too"]),
        ('<section id="related-work"><p>kept</p></section>', ["kept"]),
        ('<div class="section" id="comments">kept</div>', ["kept"]),
        ('<h2><span class="mw-headline" id="Advertising">kept</span></h2>', ["kept"]),
        ('<p>The <span class="menu">File</span> menu.</p>', ["The File menu."]),
        ('<p>Set <code class="highlight">x</code> to 1.</p>', ["Set x to 1."]),
        ('<p class="highlight">kept</p>', ["kept"]),
        ('<p>Figure <a href="#f3">3</a>.</p>', ["Figure 3."]),
        ('<p>see <a href="#s">below</a> for all</p>', ["see below for all"]),
        ("<header><h1>Title</h1><nav>Home</nav></header><p>kept</p>", ["Title", "kept"]),
        ('<dl><dt>x<span class="classifier">int</span></dt></dl>', ["x int"]),
    ],
)
def test_content_is_kept(block, expected):
    assert walk(block) == expected


def test_a_link_within_a_link_leaves_the_outer_one_open():
    assert walk("<p>x</p><a href=x><table><tr><td><a href=y>in</a> between</table></a>") == ["x"]


def test_drops_are_counted_with_an_example_and_empty_blocks_are_not():
    page = extract("<nav>Home <b>News</b></nav><nav></nav><nav>Else</nav><pre>x = 1</pre><p>--</p>", BoilerplateRules())
    assert page.dropped == {"navigation": 2, "code": 1, "no_letters": 1}
    assert page.dropped_examples["navigation"] == "Home News"


def test_link_share_is_a_threshold():
    html = '<p><a href="x">twelve, chars</a> and six</p>'  # 11 of 17 letters
    assert extract(html, BoilerplateRules(max_link_share=0.65)).items
    assert not extract(html, BoilerplateRules(max_link_share=0.64)).items


def test_a_page_of_any_depth_is_walked():
    depth = 20_000
    assert walk("<div>" * depth + "deep" + "</div>" * depth) == ["deep"]


def test_no_body_no_items():
    for html in ("", "<html></html>", "<frameset><frame src=x></frameset>", "\x00\x01"):
        assert extract(html, BoilerplateRules()).items == ()


def test_base_is_reported():
    assert extract('<head><base href="img/"></head><p>x</p>', BoilerplateRules()).base == "img/"
    assert extract("<p>x</p>", BoilerplateRules()).base is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.png", ["a.png"]),
        ("a.png 320w, b.png 640w", ["b.png", "a.png"]),
        ("a.png, b.png 1.5x,c.png 2x", ["c.png", "b.png", "a.png"]),
        ("a,b.png 1x, c.png 3x", ["c.png", "a,b.png"]),
        ("data:image/png;base64,AAA= 1x", ["data:image/png;base64,AAA="]),
        ("a.png 1.2.3x", ["a.png"]),
        ("a.png 100w 50h,b.png 2e9w,, c.png 200w", ["c.png", "a.png", "b.png"]),
        ("", []),
        (" , ", []),
    ],
)
def test_srcset(value, expected):
    assert srcset.parse(value) == expected


def test_candidates_prefer_the_lazy_address_then_src_then_the_largest_of_the_set():
    (item,) = extract(
        '<picture><source srcset="e.avif 1x, f.avif 2x">'
        '<img src=" c.png " data-src="a.png" srcset="c.png 1x, d.png 2x" data-srcset="b.png 2x"></picture>',
        BoilerplateRules(),
    ).items
    assert item.candidates == ("a.png", "b.png", "c.png", "d.png", "f.avif", "e.avif")


def test_a_picture_has_the_sources_before_it_and_no_more_than_32():
    picture = "<picture><source srcset=a><!-- --><img src=b><source srcset=c><img src=d></picture>"
    items = extract(picture + f'<img src="0" srcset="{", ".join(map(str, range(99)))}">', BoilerplateRules()).items
    assert [item.candidates for item in items] == [("b", "a"), ("d", "c"), tuple(map(str, range(32)))]


def test_an_image_without_address_is_no_image():
    assert walk("<p>a<img>b<img src=''></p>") == ["ab"]
