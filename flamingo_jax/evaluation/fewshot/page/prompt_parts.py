"""The text of a prompt, taken apart again into its examples and the question."""

from collections.abc import Sequence

from flamingo_jax.html.markup import Html, join, tag
from flamingo_jax.inference.prompts import EOC_TAG, IMAGE_TAG

_TAGS = (IMAGE_TAG, EOC_TAG)


def split_prompt(prompt: str, examples: int) -> tuple[Sequence[str] | None, str]:
    """The text of each example and of what is asked, without tags.

    Returns:
      None in place of the examples where the prompt does not have that many, as when a text holds a tag itself.
    """
    *chunks, asked = prompt.split(EOC_TAG)
    bare = [_bare(chunk) for chunk in chunks]
    return (bare if len(bare) == examples else None), _bare(asked)


def marked(prompt: str) -> Html:
    """The whole text, its tags set off."""
    parts: list[str | Html] = [prompt]
    for name in _TAGS:
        parts = [piece for part in parts for piece in _set_off(part, name)]
    return join(parts)


def _bare(chunk: str) -> str:
    return " ".join(chunk.replace(IMAGE_TAG, " ").split())


def _set_off(part: str | Html, name: str) -> list[str | Html]:
    if isinstance(part, Html):
        return [part]
    first, *rest = part.split(name)
    return [first, *(piece for text in rest for piece in (tag("b", name, class_="tag"), text))]
