"""Blocks to HTML: the content of a page, without the frame around it."""

import html

from data_pipelines.embedded_web.blocks import Block, Figure, Heading, NoiseImage, Paragraph


def render_block(block: Block, root: str) -> str:
    """One block as HTML; `root` is the relative way from the page to the site root ("" or "../")."""
    match block:
        case Heading(level=level, text=text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text=text, link=link):
            return f"<p>{_with_link(text, link, root)}</p>"
        case Figure():
            return _render_figure(block, root)
        case NoiseImage(path=path, width=width, height=height):
            source = path if "://" in path else root + path
            return f'<img src="{html.escape(source)}" width="{width}" height="{height}" alt="">'


def _render_figure(figure: Figure, root: str) -> str:
    scene = figure.picture.scene
    source = html.escape(root + figure.picture.path)
    image = f'<img src="{source}" width="{scene.width}" height="{scene.height}" alt="" loading="lazy">'
    text = html.escape(figure.text)
    match figure.layout:
        case "figure":
            linked = f'<a href="{source}">{image}</a>'
            return f'<figure class="picture">\n  {linked}\n  <figcaption>{text}</figcaption>\n</figure>'
        case "inline":
            return f'<p class="floating">{image}\n{text}</p>'
        case "apart":
            return f'<div class="picture">{image}</div>\n<p>{text}</p>'
        case layout:
            raise ValueError(f"figure {figure.picture.path}: unknown layout {layout!r}; known: figure, inline, apart")


def _with_link(text: str, link: str, root: str) -> str:
    escaped, phrase = html.escape(text), html.escape(link)
    return escaped.replace(phrase, f'<a href="{root}index.html">{phrase}</a>', 1) if link else escaped
