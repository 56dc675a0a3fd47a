"""What a check against evaluation images found: as JSON, and as one page for a browser with the pairs side by side."""

import base64
import dataclasses
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence

from PIL import Image

from data_pipelines import report_html

SHOWN = 500  # pairs with pictures in the HTML page, some 12 kB each; the JSON has all
_THUMBNAIL = 200  # pixels of the longer side
_STYLE = """
article { display: grid; grid-template-columns: 1fr 1fr; gap: .3rem 1rem; padding: .8rem 0; }
article { border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } article p { margin: 0; font-size: .85rem; }
article header { grid-column: 1 / 3; font-size: .85rem; opacity: .7; }
img { max-width: 100%; max-height: 200px; background: var(--soft); }
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A picture of the corpus and an evaluation image that it may be a copy of.

    Attributes:
      document: the key of its document.
      picture: which of the document's images, counted from 0.
      source: where the document says that it came from.
      evaluation: the name of the evaluation image.
      distance: in bits of the hash.
      exact: the same bytes or the same pixels.
    """

    document: str
    picture: int
    source: str
    evaluation: str
    distance: int
    exact: bool


def ordered(pairs: Sequence[Pair]) -> list[Pair]:
    """The exact ones first, then by distance."""
    return sorted(pairs, key=lambda pair: (not pair.exact, pair.distance, pair.evaluation, pair.document, pair.picture))


def to_json(checked: Mapping, pairs: Sequence[Pair]) -> str:
    """The text of `decontamination.json`.

    Args:
      checked: JSON values that say what was checked against what.
      pairs: the candidates.
    """
    listed = [dataclasses.asdict(pair) for pair in ordered(pairs)]
    return json.dumps({**checked, **counts(pairs), "pairs": listed}, indent=2, ensure_ascii=False) + "\n"


def counts(pairs: Sequence[Pair]) -> dict[str, int]:
    """How many candidates there are, by what one may want to know of them."""
    return {
        "candidate_pairs": len(pairs),
        "exact_pairs": sum(pair.exact for pair in pairs),
        "candidate_images": len({(pair.document, pair.picture) for pair in pairs}),
        "exact_images": len({(pair.document, pair.picture) for pair in pairs if pair.exact}),
        "evaluation_images_found": len({pair.evaluation for pair in pairs}),
    }


def render(checked: Mapping, pairs: Sequence[Pair], pictures: Callable[[Pair], tuple[bytes, bytes]]) -> str:
    """One HTML page, without scripts, without network.

    Args:
      checked: as for `to_json`; plain numbers of it are shown.
      pairs: the candidates; the first `SHOWN` are shown.
      pictures: the files of a pair, the corpus' and the evaluation's. Called for those that are shown.
    """
    shown = ordered(pairs)[:SHOWN]
    facts = {**{name: value for name, value in checked.items() if isinstance(value, int)}, **counts(pairs)}
    figures = {name.replace("_", " "): number for name, number in facts.items()}
    body = []
    for heading, exact in (("Exact copies", True), ("Candidates", False)):
        of_kind = [pair for pair in shown if pair.exact == exact]
        total = sum(pair.exact == exact for pair in pairs)
        rest = f", the first {len(of_kind):,} are shown" if len(of_kind) < total else ""
        body.append(f"<h2>{heading}: {total:,}{rest}</h2>")
        body.extend(_article(pair, *pictures(pair)) for pair in of_kind)
    return report_html.page(f"Evaluation images in {checked['dataset']}", figures, _STYLE, body)


def _article(pair: Pair, ours: bytes, theirs: bytes) -> str:
    where = f"{pair.document}, image {pair.picture + 1}" + (f": {pair.source}" if pair.source else "")
    cells = ((ours, where), (theirs, pair.evaluation))
    return (
        f"<article><header>distance {pair.distance}</header>"
        + "".join(f"<div>{_image(encoded)}<p>{html.escape(text)}</p></div>" for encoded, text in cells)
        + "</article>"
    )


def _image(encoded: bytes) -> str:
    small = report_html.small_copy(encoded, _THUMBNAIL)
    if small is None:
        return ""
    small = small.convert("RGBA")
    buffer = io.BytesIO()
    on_white = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    on_white.save(buffer, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
