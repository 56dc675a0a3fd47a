"""A chart with its title."""

from flamingo_jax.html.markup import Html, tag


def figure(title: str, subtitle: str, *children: Html, class_: str = "chart") -> Html:
    """A chart with its title above it."""
    caption = tag("figcaption", tag("b", title), tag("span", subtitle) if subtitle else "")
    return tag("figure", caption, *children, class_=class_)
