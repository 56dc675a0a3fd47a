"""A row as a card: its tokens, and its images beside them."""

import numpy as np

from flamingo_jax.data.inspect.pictures import row_image
from flamingo_jax.data.inspect.row_statistics import seen_by
from flamingo_jax.data.inspect.rows import ShownRow
from flamingo_jax.data.inspect.tokens import padding, segments
from flamingo_jax.data.tokenizer import Tokenizer
from flamingo_jax.html.markup import Html, tag


def row_card(shown: ShownRow, tokenizer: Tokenizer) -> Html:
    """The markup of the card."""
    example = shown.row.example
    used, targets = int((example.segment_ids > 0).sum()), int(example.loss_mask.sum())
    head = tag(
        "header",
        tag("h4", f"Step {shown.step:,}, row {shown.number:,}"),
        tag("span", f"{used:,} tokens, {targets:,} targets"),
    )
    parts = []
    for place, (text, origin) in enumerate(zip(segments(example, tokenizer), shown.origins, strict=True), 1):
        many = f"segment {place} of {len(shown.origins)}: " if len(shown.origins) > 1 else ""
        source = tag("p", many, tag("b", origin.document.key), f", record {origin.record:,}", class_="key")
        parts += [source, text]
    images = _images(shown)
    notes = [padding(example), *([] if images else _empty(shown)), _replaced(shown)]
    body = [tag("div", *parts, *notes, class_="text")]
    if images:
        body.append(tag("div", *images, *_empty(shown), class_="media"))
    return tag("article", head, tag("div", *body, class_="split" if images else "alone"), class_="row")


def _images(shown: ShownRow) -> list[Html]:
    example = shown.row.example
    held = np.flatnonzero(example.frame_mask.any(axis=-1))
    media = [medium for origin in shown.origins for medium in origin.media]
    return [
        row_image(place + 1, example.images[place], example.frame_mask[place], seen_by(example, place + 1), medium)
        for place, medium in zip(held.tolist(), media, strict=True)
    ]


def _empty(shown: ShownRow) -> list[Html]:
    """What is said of the places for images that hold none."""
    held = shown.row.example.frame_mask.any(axis=-1)
    empty, places = int((~held).sum()), "place" if len(held) == 1 else "places"
    return [tag("p", f"{empty} of {len(held)} {places} for images empty", class_="pad")] if empty else []


def _replaced(shown: ShownRow) -> Html:
    count = shown.row.skipped
    if not count:
        return Html("")
    records = "1 unusable record was" if count == 1 else f"{count:,} unusable records were"
    return tag("p", f"{records} replaced to fill this row", class_="replaced")
