"""Puts the sections together and writes the file."""

import datetime
from collections.abc import Sequence

from etils import epath

from flamingo_jax.evaluation.report.configuration import configuration
from flamingo_jax.evaluation.report.corpora import corpora as corpora_section
from flamingo_jax.evaluation.report.few_shot import few_shot
from flamingo_jax.evaluation.report.gates import depth_count, gates
from flamingo_jax.evaluation.report.headline import headline, verdict
from flamingo_jax.evaluation.report.heldout import heldout
from flamingo_jax.evaluation.report.inputs import Inputs, read_inputs
from flamingo_jax.evaluation.report.style import style_sheet
from flamingo_jax.evaluation.report.training import training
from flamingo_jax.html.files import write_whole
from flamingo_jax.html.markup import Html, tag
from flamingo_jax.html.page import page

_CONTENTS = (
    ("glance", "At a glance"),
    ("heldout", "Examples"),
    ("few-shot", "Few-shot"),
    ("training", "Training"),
    ("gates", "Gates"),
    ("data", "Data"),
    ("configuration", "Configuration"),
)


def write_report(
    workdir: epath.PathLike,
    path: epath.PathLike | None = None,
    *,
    corpora: Sequence[epath.PathLike] = (),
    max_examples: int = 24,
) -> epath.Path:
    """Writes the report of a run as one HTML file that needs no other file, no network and no script.

    Reads `metrics.jsonl`, `config.json`, `summary.json`, `heldout.json` and the summaries below `evaluations/` from
    `workdir`. Each may be missing or damaged: a sentence stands in its place. The file appears under its name only when
    it is complete.

    Args:
      workdir: the run's directory, local or `gs://`.
      path: where to write; `report.html` in `workdir` by default.
      corpora: paths of the `drops.json` files of the run's datasets; those of the report before if none are given.
      max_examples: how many held-out examples are shown, the first ones of `heldout.json`.

    Returns:
      The path of the report.

    Raises:
      FileNotFoundError: `workdir` is not a directory.
      OSError: the file cannot be written.
    """
    workdir = epath.Path(workdir)
    path = workdir / "report.html" if path is None else epath.Path(path)
    write_whole(path, render(read_inputs(workdir, corpora), max_examples))
    return path


def render(inputs: Inputs, max_examples: int) -> str:
    """The whole page as a string."""
    name = inputs.workdir.name or "run"
    links = [tag("a", label, href=f"#{anchor}") for anchor, label in _CONTENTS]
    body = [
        tag("a", "Skip to the figures", href="#glance", class_="skip"),
        tag(
            "header",
            tag("p", "Flamingo training report", class_="eyebrow"),
            tag("h1", name),
            tag("p", verdict(inputs), class_="verdict"),
            tag("nav", *links, aria_label="Contents"),
        ),
        tag(
            "main",
            headline(inputs),
            heldout(inputs, max_examples),
            few_shot(inputs.few_shot),
            training(inputs.metrics),
            gates(inputs.metrics),
            corpora_section(inputs.corpora),
            configuration(inputs.config),
            _notes(inputs.notes),
        ),
        tag("footer", f"Written {_now()} by flamingo-jax. This file stands alone: it loads nothing."),
    ]
    return page(f"{name} · Flamingo training report", style_sheet(depth_count(inputs.metrics)), *body)


def _notes(notes: list[str]) -> Html:
    if not notes:
        return Html("")
    heading = tag("h2", "Notes on the inputs", id="notes-title")
    listed = tag("ul", *(tag("li", note) for note in notes))
    return tag("section", heading, listed, id="notes", class_="notes", aria_labelledby="notes-title")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%-d %B %Y, %H:%M UTC")
