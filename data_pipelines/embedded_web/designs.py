"""The four designs of the site: what stands around the content, all of it boilerplate that no document should keep."""

import html

from data_pipelines.embedded_web.blocks import Heading, NoiseImage, Page
from data_pipelines.embedded_web.html import render_block

SITE_NAME = "The Picture Rooms"
LOGO, ICON, STYLE = "assets/logo.png", "assets/share.png", "assets/style.css"

STYLE_SHEET = """\
body { margin: 0; font: 17px/1.55 Georgia, serif; color: #222; background: #f6f4ef; }
a { color: #245; }
.site-header, .navigation { display: flex; align-items: center; gap: 1.2em; padding: .6em 2em; background: #2b3a42; }
.site-header a, .navigation a { color: #fff; text-decoration: none; }
.columns { display: flex; gap: 2em; max-width: 1060px; margin: 1.5em auto; }
main, #content { flex: 1; max-width: 760px; margin: 1.5em auto; padding: 0 1.5em 1em; background: #fff; }
.rooms { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 1em; }
.rooms > :not(figure) { grid-column: 1 / -1; } main > img { max-width: 100%; }
.picture { margin: 1em 0; } .picture img { max-width: 100%; height: auto; }
.floating { overflow: hidden; } .floating img { float: left; margin: 0 1em .6em 0; max-width: 45%; height: auto; }
figcaption { font-size: 15px; color: #444; }
aside { width: 220px; font-size: 14px; } footer, .footer { padding: 1em 2em; font-size: 13px; color: #777; }
.share { font-size: 13px; } .cookie-notice { padding: .5em 2em; background: #fde9c4; font-size: 14px; }
"""

_COOKIES = """\
<div id="cookie-notice" class="cookie-notice" role="dialog">
  <p>We use cookies to make this site work and to count visits. <a href="#">Accept</a> <a href="#">Settings</a></p>
</div>"""
_SCRIPT = """\
<script>window.visits = window.visits || []; visits.push({page: document.title});</script>
<noscript><img src="https://stats.example.org/noscript.gif" width="1" height="1" alt=""></noscript>"""


def render_page(page: Page, related: tuple[str, ...] = ()) -> bytes:
    """The bytes of the page's file, in its encoding; an empty page is an empty file.

    `related` are paths of other pages, for the links at the end.
    """
    if page.drop == "empty":
        return b""
    root = "../" * page.path.count("/")
    blocks = "\n".join(render_block(block, root) for block in page.blocks)
    body = _DESIGNS[page.design](blocks, root, [root + path for path in related])
    return _document(page.title, page.declared, body, root).encode(page.encoding)


def render_index(pages: list[Page]) -> tuple[bytes, Page]:
    """The site's index, a page of links without content images, and the page that it amounts to."""
    heading = Heading(1, SITE_NAME)
    links = "\n".join(f'  <li><a href="{p.path}">{html.escape(p.title)}</a></li>' for p in pages if p.blocks)
    main = f"<main>\n{render_block(heading, '')}\n<nav>\n<ul>\n{links}\n</ul>\n</nav>\n</main>"
    body = f"{_header('')}\n{main}\n{_footer('')}"
    page = Page("index.html", "index", (heading,), drop="no images")
    return _document(SITE_NAME, "utf-8", body, "").encode(), page


def boilerplate_images(page: Page) -> list[NoiseImage]:
    """The images that the page's design adds around the content."""
    if page.drop == "empty":
        return []
    logo = NoiseImage(LOGO, "icon", 48, 48)
    icon = NoiseImage(ICON, "icon", 24, 24)
    script = NoiseImage("https://stats.example.org/noscript.gif", "one-pixel tracker", 1, 1)
    return {"index": [logo], "gallery": [logo], "article": [logo, icon, script], "catalogue": [logo], "lesson": [icon]}[
        page.design
    ]


def _document(title: str, charset: str, body: str, root: str) -> str:
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="{charset}">
<title>{html.escape(title)} | {SITE_NAME}</title>
<link rel="stylesheet" href="{root}{STYLE}">
</head>
<body>
{body}
</body>
</html>
"""


def _header(root: str) -> str:
    return f"""\
<header class="site-header">
  <a href="{root}index.html"><img src="{root}{LOGO}" width="48" height="48" alt="{SITE_NAME}"></a>
  <nav><a href="{root}index.html">Home</a> <a href="#">Visit</a> <a href="#">Shop</a> <a href="#">Contact</a></nav>
</header>"""


def _footer(root: str) -> str:
    return f"""\
<footer>
  <p>&copy; {SITE_NAME}. All rights reserved. <a href="{root}index.html">Imprint</a> &middot;
  <a href="#">Privacy</a> &middot; <a href="#">Terms of use</a></p>
</footer>"""


def _share(root: str) -> str:
    return f"""\
<div class="share share-buttons"><img src="{root}{ICON}" width="24" height="24" alt="">
  <a href="#">Tweet</a> <a href="#">Pin it</a> <a href="#">Send by mail</a></div>"""


def _related(links: list[str], tag: str = "div") -> str:
    entries = "\n".join(f'  <li><a href="{link}">Read more: part {i + 1}</a></li>' for i, link in enumerate(links))
    return f'<{tag} class="related">\n<h3>You may also like</h3>\n<ul>\n{entries}\n</ul>\n</{tag}>'


def _gallery(blocks: str, root: str, links: list[str]) -> str:
    main = f'<main class="rooms">\n{blocks}\n</main>'
    return "\n".join([_COOKIES, _header(root), main, _related(links, "aside"), _footer(root)])


def _article(blocks: str, root: str, links: list[str]) -> str:
    columns = f"""\
<!-- post -->
<div class="columns">
<main>
<article>
{blocks}
</article>
{_share(root)}
</main>
<aside class="sidebar">
<h3>Newsletter</h3>
<p>Get one letter a month. No spam, ever.</p>
<form action="#"><input name="mail"><button>Subscribe</button></form>
{_related(links)}
</aside>
</div>"""
    return "\n".join([_header(root), columns, _footer(root), _SCRIPT, _COOKIES])


def _catalogue(blocks: str, root: str, links: list[str]) -> str:
    """An older design, from before HTML had elements for navigation and footers."""
    home = f'<a href="{root}index.html">Home</a>'
    return f"""\
<div id="navigation" class="navigation"><img src="{root}{LOGO}" width="48" height="48" alt="">
  {home} <a href="#">Collections</a> <a href="#">Loans</a></div>
<div id="breadcrumbs" class="breadcrumbs">{home} &gt; <a href="#">Collections</a></div>
<div id="content">
{blocks}
</div>
{_related(links)}
<div id="footer" class="footer">Catalogue software 2.4 &middot; <a href="#">Print this page</a> &middot;
  <a href="#">Report an error</a></div>"""


def _lesson(blocks: str, root: str, links: list[str]) -> str:
    nav = f'<nav class="site-header"><a href="{root}index.html">All lessons</a> <a href="#">For teachers</a></nav>'
    main = f"<main>\n{blocks}\n</main>"
    return "\n".join([nav, main, _share(root), _related(links, "nav"), _footer(root), _COOKIES])


_DESIGNS = {"gallery": _gallery, "article": _article, "catalogue": _catalogue, "lesson": _lesson}
