"""A whole page: nothing but what the file holds is loaded, and no script runs, whatever stands in the data."""

from typing import Any

from flamingo_jax.html.markup import Html, tag, void

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, style: str, *body: Any) -> str:
    """The text of an HTML file; `style` is its style sheet."""
    head = tag(
        "head",
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', *body), lang='en')}\n"
