"""The page of a run's rows."""

from typing import Any

from flamingo_jax.data.inspect.bars import histogram, parts, spreads, tiles
from flamingo_jax.data.inspect.frame import frame
from flamingo_jax.data.inspect.row_card import row_card
from flamingo_jax.data.inspect.rows import InspectedDataset
from flamingo_jax.data.mixture import Mixture
from flamingo_jax.html import figures
from flamingo_jax.html.markup import Html, details, section, tag

_SHORT = 80  # tokens; two such rows stand side by side
_LEGEND = (
    ("run c0", "text", "sees image 1, shown beside it in the same colour; a small number says which image, 0 none"),
    ("run c", "text", "sees no image"),
    ("t", "text", "underlined: a target of the loss"),
    ("t blind", "text", "faded: no target"),
    ("t tag", "<image>", "the tag of an image, in its sub-tokens"),
    ("t control", "<EOC>", "end of a chunk, and the ends of the sequence"),
)


def rows_page(title: str, mixture: Mixture, found: dict[str, InspectedDataset], steps: range) -> str:
    """The whole page as text."""
    span = f"data step {steps[0]:,}" if len(steps) == 1 else f"data steps {steps[0]:,} to {steps[-1]:,}"
    told = (
        f"What the model is given in {span} with seed {mixture.config.seed}: the figures are of all rows of these "
        "steps, and the first rows are shown as they are, with their pictures changed and padded."
    )
    contents = {name: f"{name}" for name in found}
    sections = [_dataset(name, mixture, dataset) for name, dataset in found.items()]
    return frame(title, "flamingo-jax · rows of a run", told, contents, [_legend(), *sections])


def _legend() -> Html:
    lines = [tag("li", tag("span", sample, class_=kind), " ", told) for kind, sample, told in _LEGEND]
    return tag("ul", *lines, class_="legend", aria_label="Legend")


def _dataset(name: str, mixture: Mixture, dataset: InspectedDataset) -> Html:
    config, summary = mixture.datasets[name], dataset.statistics.summary()
    kind = type(config).__name__.removesuffix("Config").lower()
    lead = (
        f"{kind} · {config.path} ({config.split}), {dataset.records:,} records · {config.batch_size:,} rows a step, "
        f"weight {config.weight:g}"
    )
    if not dataset.steps:
        return section(name, name, tag("p", "None of these steps takes a batch of it.", class_="absent"), lead=lead)
    cards = [row_card(shown, mixture.tokenizer) for shown in dataset.shown]
    body = tag("div", *cards, class_="short" if config.length <= _SHORT and config.images_per_row < 2 else None)
    return section(name, name, _figures(summary), body, lead=lead)


def _figures(summary: dict[str, Any]) -> Html:
    tokens = summary["tokens"]
    values = [
        ("tokens in use", figures.percent(tokens["used_share"]), f"{tokens['used']:,} of {tokens['all']:,}"),
        ("of these, targets", figures.percent(tokens["targets_share"]), f"{tokens['targets']:,}"),
        ("rows", f"{summary['rows']:,}", _documents(summary)),
        ("rows without image", figures.percent(summary["rows_without_images_share"]), ""),
        ("unusable records", f"{summary['skipped_records']:,}", "replaced by others"),
    ]
    if summary["sees_next_share"] is not None:
        undecided = summary["sees"].get("unknown", 0)
        remark = f"{undecided:,} rows do not show it" if undecided else "of the rows"
        values.append(("see the next image", figures.percent(summary["sees_next_share"]), remark))
    if summary["images_unseen"]:
        values.append(("images that no token sees", f"{summary['images_unseen']:,}", ""))
    charts = [
        histogram("images a row", summary["images_a_row"]),
        parts("tokens by the image that they see", summary["image_index"]),
        histogram("frames an image", summary["frames_an_image"]) if len(summary["frames_an_image"]) > 1 else "",
        histogram("formats", summary["stills"]["formats"] | summary["clips"]["formats"]),
    ]
    return tag("div", tiles(values), tag("div", *charts, class_="charts"), details("More figures", _table(summary)))


def _documents(summary: dict[str, Any]) -> str:
    packed = summary["documents"] > summary["rows"]
    return f"with {summary['documents']:,} documents" if packed else ""


def _table(summary: dict[str, Any]) -> Html:
    rows = {"text after an image, tokens": summary["text_after_image"]}
    for name, media in (("image", summary["stills"]), ("clip", summary["clips"])):
        rows |= {f"{name} {what}": media[what] for what in ("width", "height", "bytes", "seconds") if what in media}
    return spreads(
        "Over all rows; p5 to p95 are percentiles.", rows | {"encoded bytes a row": summary["encoded_bytes_a_row"]}
    )
