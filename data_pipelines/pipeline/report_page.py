"""The report of a build as one page for a browser: what each rule dropped, with pictures of the dropped images."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

from PIL import Image

from data_pipelines import image_rules
from data_pipelines.pipeline import references
from data_pipelines.pipeline.drops import Example, Rule
from data_pipelines.pipeline.sketch import Reference

_THUMBNAIL = 160  # pixels of the longer side
_MAX_PIXELS = 64_000_000  # what is larger is not decoded for a picture of it
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }
dl { display: flex; flex-wrap: wrap; gap: .5rem 2rem; } dt { opacity: .7; } dd { margin: 0; font-size: 1.2rem; }
summary { cursor: pointer; padding: .3rem 0; } summary b { display: inline-block; min-width: 6rem; text-align: right; }
summary code { margin-left: 1rem; }
ul { list-style: none; padding: 0 0 1rem 7rem; margin: 0; }
li { margin: .4rem 0; overflow-wrap: anywhere; display: flex; gap: .8rem; align-items: center; }
img { max-width: 160px; max-height: 120px; background: var(--soft); border: 1px solid var(--line); flex: none; }
"""


def render(report: Mapping, rules: Sequence[Rule]) -> str:
    """One HTML page, without scripts, without network.

    Args:
      report: what `drops.json` holds.
      rules: the same drops with the references of their examples.
    """
    kept = {what: count for what, count in report["kept"].items() if isinstance(count, int)}
    kept |= {f"in {split}": count for split, count in report["kept"]["documents_per_split"].items()}
    title = f"Corpus {report['dataset']}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>",
        "<dl>",
        *(f"<div><dt>{html.escape(what)}</dt><dd>{count:,}</dd></div>" for what, count in kept.items()),
        "</dl>",
    ]
    for unit in dict.fromkeys(rule.unit for rule in rules):
        of_unit = [rule for rule in rules if rule.unit == unit]
        total = sum(rule.count for rule in of_unit)
        parts.append(f"<h2>Dropped: {total:,} {html.escape(unit)}{'' if total == 1 else 's'}</h2>")
        parts.extend(_rule(rule) for rule in of_unit)
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _rule(rule: Rule) -> str:
    head = f"<summary><b>{rule.count:,}</b><code>{html.escape(rule.rule)}</code></summary>"
    return f"<details>{head}<ul>{''.join(map(_example, rule.examples))}</ul></details>"


def _example(example: Example) -> str:
    picture = thumbnail(example.reference) if example.reference is not None else ""
    image = f'<img alt="" src="{picture}">' if picture else ""
    return f"<li>{image}<span>{html.escape(example.text)}</span></li>"


def thumbnail(reference: Reference) -> str:
    """A small copy of an image as a data URI, or "" where there is none to show."""
    try:
        with Image.open(io.BytesIO(references.read(reference)), formats=image_rules.available_formats()) as image:
            if image.width * image.height > _MAX_PIXELS:
                return ""
            image.draft("RGB", (_THUMBNAIL, _THUMBNAIL))
            small = image.convert("RGBA" if image.has_transparency_data else "RGB")
            small.thumbnail((_THUMBNAIL, _THUMBNAIL))
            buffer = io.BytesIO()
            small.save(buffer, "PNG", optimize=True)
    except Exception:  # broken images are what many rules drop; a report of them must not fail
        return ""
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
