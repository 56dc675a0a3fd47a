"""Prompts to compile programs with before a client asks."""

import io

from PIL import Image as Picture

from flamingo_jax.data.document import Image
from flamingo_jax.inference.batches import Prompt
from flamingo_jax.serving.dialogue.style import Style
from flamingo_jax.serving.dialogue.turns import Turn


def first_prompts(style: Style) -> list[Prompt]:
    """A question about a picture, and another after its answer, as the style writes them."""
    first, second = Turn("What is in this picture?", (_grey(),), "A grey square."), Turn("What colour is it?")
    return [
        (style.opening + style.asks(first), first.media),
        (style.opening + style.says(first) + style.asks(second), first.media),
    ]


def _grey() -> Image:
    buffer = io.BytesIO()
    Picture.new("RGB", (64, 64), "grey").save(buffer, "PNG")
    return Image(buffer.getvalue(), "a picture to warm up with")
