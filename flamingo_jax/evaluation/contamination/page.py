"""The page of a check: the counts, and pairs of pictures side by side."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.images import load_image
from flamingo_jax.data.sources import Source
from flamingo_jax.evaluation.contamination.questioned import Questioned
from flamingo_jax.evaluation.contamination.search import Hit
from flamingo_jax.evaluation.contamination.stills import still_of
from flamingo_jax.evaluation.contamination.style import style_sheet
from flamingo_jax.html.markup import Html, absent, section, table, tag, void
from flamingo_jax.html.page import page
from flamingo_jax.html.pictures import data_uri

SHOWN = 200  # pairs, some 30 kB each
_SIDE = 260  # pixels
_MAX_PIXELS = 64_000_000


def render(facts: Mapping[str, Any], pairs: Sequence[Hit], corpora: Sequence[Source], questioned: Questioned) -> str:
    """The text of `report.html`.

    Args:
      facts: what `report.json` holds.
      pairs: in the order of `facts["pairs"]`; the pictures of the first `SHOWN` are read again and shown.
      corpora: that the pairs name by place.
      questioned: the benchmark's pictures.
    """
    total = facts["total"]
    looked = f"{total['images']:,} images" + (f" and {total['clips']:,} clips" if total["clips"] else "")
    sought = sum(split["pictures"] for split in facts["splits"].values())
    title = f"{facts['title']} in the training data"
    against = f"{looked} of training data against {sought:,} pictures of {facts['title']}"
    verdict = f"{facts['found'].capitalize()}: {against}."
    return page(
        f"{title} · contamination",
        style_sheet(),
        tag(
            "header",
            tag("p", "Flamingo contamination report", class_="eyebrow"),
            tag("h1", title),
            tag("p", verdict, class_="verdict"),
            class_="top",
        ),
        tag(
            "main",
            _counts(facts),
            _pairs(
                "exact", "Exact copies", "The same bytes or the same pixels.", True, facts, pairs, corpora, questioned
            ),
            _pairs(
                "candidates",
                "Other candidates",
                "Alike enough that somebody should look: resized, recompressed, recoloured, mirrored or slightly "
                "cropped copies, and some that only look alike. The most alike first.",
                False,
                facts,
                pairs,
                corpora,
                questioned,
            ),
        ),
        tag("footer", f"Written {_now()} by flamingo-jax. This file stands alone: it loads nothing."),
    )


def _counts(facts: Mapping[str, Any]) -> Html:
    columns = ("documents", "images", "clips", "undecodable", "damaged_documents", "candidates", "exact")
    head = ("corpus", *(name.replace("_", " ") for name in columns))
    corpora = [[f"{one['path']} ({one['split']})", *(f"{one[name]:,}" for name in columns)] for one in facts["corpora"]]
    if len(corpora) > 1:
        corpora.append([tag("b", "all"), *(tag("b", f"{facts['total'][name]:,}") for name in columns)])
    splits = [
        [
            name,
            f"{one['items']:,}",
            f"{one['pictures']:,}",
            f"{one['unreadable_pictures']:,}",
            f"{one['candidate_pictures']:,}",
            f"{one['exact_pictures']:,}",
            f"{len(one['candidate_items']):,}",
            f"{len(one['exact_items']):,}",
        ]
        for name, one in facts["splits"].items()
    ]
    of_splits = (
        "split",
        "items",
        "pictures",
        "unreadable",
        "found",
        "of which exact",
        "items on them",
        "on exact ones",
    )
    lead = (
        "Of clips, on both sides, the first frame is compared: two cuts of one film that begin elsewhere are not found."
    )
    return section(
        "counts",
        "Counts",
        table(head, corpora, caption="What was looked through"),
        table(of_splits, splits, caption=f"What was looked for: {facts['title']}"),
        lead=lead,
    )


def _pairs(
    anchor: str,
    heading: str,
    lead: str,
    exact: bool,
    facts: Mapping[str, Any],
    pairs: Sequence[Hit],
    corpora: Sequence[Source],
    questioned: Questioned,
) -> Html:
    both = list(zip(pairs, facts["pairs"], strict=True))
    of_kind = [(hit, told) for hit, told in both if hit.exact == exact]
    shown = [(hit, told) for hit, told in both[:SHOWN] if hit.exact == exact]
    if not of_kind:
        return section(anchor, f"{heading}: none", absent("There are no such pairs."))
    rest = f", {len(shown):,} of them here" if len(shown) < len(of_kind) else ""
    made = [_pair(hit, told, corpora[hit.corpus], questioned) for hit, told in shown]
    return section(anchor, f"{heading}: {len(of_kind):,} pairs{rest}", *made, lead=lead)


def _pair(hit: Hit, told: Mapping[str, Any], corpus: Source, questioned: Questioned) -> Html:
    source = f": {hit.source}" if hit.source else ""
    where = f"{hit.document}, {'clip' if hit.clip else 'image'} {hit.number + 1}{source}"
    more = told["items_in_all"] - len(told["items"])
    items = ", ".join(told["items"]) + (f" and {more} more" if more else "")
    span = "" if told["span"] is None else " ({:g} to {:g} s)".format(*told["span"])
    sides = (
        ("in the corpus", lambda: corpus[hit.record].media[hit.number], where),
        ("in the benchmark", questioned.media[hit.medium].load, f"{told['benchmark']}{span}"),
    )
    figures = [
        tag("figure", tag("h3", side), _picture(read), tag("figcaption", tag("bdi", name)))
        for side, read, name in sides
    ]
    foot = f"{hit.distance} of 64 bits differ; asked about by {items}"
    return tag("article", tag("div", *figures, class_="two"), tag("p", foot), class_="pair")


def _picture(read: Callable[[], Image | Video]) -> Html:
    try:
        small = load_image(still_of(read()), size=_SIDE, max_pixels=_MAX_PIXELS)
    except (RecordError, OSError) as error:
        return tag("p", f"cannot be shown: {error}", class_="absent")
    return void("img", src=data_uri(small), width=small.width, height=small.height, alt="", loading="lazy")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%-d %B %Y, %H:%M UTC")
