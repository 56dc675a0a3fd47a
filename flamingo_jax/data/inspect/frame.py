"""What both pages have around them."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.data.inspect.style import style_sheet
from flamingo_jax.html.markup import tag
from flamingo_jax.html.page import page


def frame(title: str, eyebrow: str, told: str, contents: Mapping[str, str], parts: Sequence[Any]) -> str:
    """A page with a title, a sentence about it, links to its sections by their anchors, and the parts."""
    links = [tag("a", label, href=f"#{anchor}") for anchor, label in contents.items()]
    now = datetime.datetime.now(datetime.UTC).strftime("%-d %B %Y, %H:%M UTC")
    return page(
        title,
        style_sheet(),
        tag(
            "header",
            tag("p", eyebrow, class_="eyebrow"),
            tag("h1", title),
            tag("p", told, class_="told"),
            tag("nav", *links, aria_label="Contents") if len(links) > 1 else "",
            class_="top",
        ),
        tag("main", *parts),
        tag("footer", f"Written {now} by flamingo-jax. This file stands alone: it loads nothing."),
    )
