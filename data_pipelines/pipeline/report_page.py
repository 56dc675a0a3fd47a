"""The report of a build as one page for a browser: what each rule dropped, with pictures of the dropped images."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

from data_pipelines import report_html
from data_pipelines.pipeline import references
from data_pipelines.pipeline.drops import Example, Rule
from data_pipelines.pipeline.sketch import Reference

_THUMBNAIL = 160  # pixels of the longer side
_STYLE = """
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
    body = []
    for unit in dict.fromkeys(rule.unit for rule in rules):
        of_unit = [rule for rule in rules if rule.unit == unit]
        total = sum(rule.count for rule in of_unit)
        body.append(f"<h2>Dropped: {total:,} {html.escape(unit)}{'' if total == 1 else 's'}</h2>")
        body.extend(_rule(rule) for rule in of_unit)
    return report_html.page(f"Corpus {report['dataset']}", kept, _STYLE, body)


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
        small = report_html.small_copy(references.read(reference), _THUMBNAIL)
    except (OSError, ValueError):  # what cannot be read is what some rules drop
        small = None
    if small is None:
        return ""
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
