"""Composes the pages of the site: which pictures, which sentences, which flaws."""

import numpy as np

from data_pipelines.embedded_web.blocks import Block, Figure, Heading, NoiseImage, Page, Paragraph, Picture
from data_pipelines.embedded_web.prose import Prose
from data_pipelines.embedded_web.seeding import Stream, generator
from flamingo_jax.data.scenes.scene import sample_scene, sample_size
from flamingo_jax.data.scenes.words import NUM_STILL_SENTENCES, Attributes, describe_still

DESIGNS = ("gallery", "article", "catalogue", "lesson")
NUM_BANNERS = 4

_PICTURES_ON_A_PAGE = (0.10, 0.20, 0.35, 0.35)  # probabilities of 1, 2, 3 and 4: 2.95 on average
_LAYOUTS = {
    "gallery": ("figure",),
    "article": ("apart", "inline", "figure"),
    "catalogue": ("apart",),
    "lesson": ("figure", "apart"),
}
# Pages with a peculiarity, by number: early ones, so that a site of a dozen pages has each of them.
_LATIN_1 = 3
_WRONG_ENCODING = 5


def compose_page(seed: int, number: int) -> Page:
    """Page `number` (from 0) of the site: a function of its arguments alone."""
    rng = generator(seed, Stream.PAGE, number)
    design = DESIGNS[rng.integers(len(DESIGNS))]
    path = f"pages/{number:04d}.html"
    if number % 150 == 9:
        return Page(path, design, (), drop="empty")
    prose = Prose(rng)
    if number % 40 == 7:
        return Page(path, design, _text_only(prose, design), drop="no images")
    blocks: list[Block] = [Heading(1, prose.heading(design)), _opening(prose)]
    special = number in (_LATIN_1, _WRONG_ENCODING)
    if special:
        blocks.append(Paragraph(prose.accented()))
    blocks += _figures(rng, prose, design, seed, number)
    truncated = None
    if number % 60 == 11:
        truncated = _picture(generator(seed, Stream.TRUNCATED, number), f"images/{number:04d}-cut", sentence=0)
        noise = NoiseImage(truncated.path, "truncated", truncated.scene.width, truncated.scene.height)
        blocks += [noise, Paragraph(prose.deal("lost"))]
    elif number % 12 == 2:
        blocks += [
            NoiseImage(f"images/{number:04d}-missing.jpg", "broken link", 240, 180),
            Paragraph(prose.deal("lost")),
        ]
    blocks.append(_linked(prose.deal("closing", 2), prose))
    blocks = _with_noise(rng, blocks)
    encoding, declared = "utf-8", "utf-8"
    if special:
        encoding, declared = "windows-1252", "iso-8859-1" if number == _LATIN_1 else "utf-8"
    return Page(path, design, tuple(blocks), encoding=encoding, declared=declared, truncated=truncated)


def _figures(rng: np.random.Generator, prose: Prose, design: str, seed: int, number: int) -> list[Block]:
    blocks: list[Block] = []
    count = 1 + int(rng.choice(4, p=_PICTURES_ON_A_PAGE))
    sentences = rng.permutation(NUM_STILL_SENTENCES)
    accession = rng.integers(100, 1000)
    for k in range(count):
        if design == "catalogue":
            blocks.append(Heading(2, f"Item {accession}.{k + 1}"))
        elif design == "lesson":
            blocks.append(Heading(2, f"Step {k + 1}"))
        picture = _picture(
            generator(seed, Stream.PICTURE, number, k), f"images/{number:04d}-{k + 1}", int(sentences[k])
        )
        # A page with one picture says more about it.
        remarks = 2 if count == 1 else int(rng.choice(3, p=(0.35, 0.45, 0.20)))
        layout = str(rng.choice(_LAYOUTS[design]))
        if remarks and rng.random() < 0.3:  # the remarks as a paragraph of their own
            blocks += [Figure(picture, picture.caption, layout), _linked(prose.deal("remark", remarks), prose)]
        else:
            text = " ".join([picture.caption, *([prose.deal("remark", remarks)] if remarks else [])])
            blocks.append(Figure(picture, text, layout))
    return blocks


def _picture(rng: np.random.Generator, stem: str, sentence: int) -> Picture:
    attributes = Attributes.sample(rng)
    scene = sample_scene(rng, attributes, size=sample_size(rng))
    suffix = "png" if rng.random() < 0.5 else "jpg"
    return Picture(f"{stem}.{suffix}", scene, describe_still(attributes, sentence))


def _opening(prose: Prose) -> Paragraph:
    return _linked(f"{prose.deal('opening')} {prose.deal('intro')}", prose)


def _text_only(prose: Prose, design: str) -> tuple[Block, ...]:
    middle = (_linked(prose.deal(kind, 3), prose) for kind in ("intro", "remark", "closing"))
    tracker = NoiseImage("assets/pixel.gif", "one-pixel tracker", 1, 1)
    return (Heading(1, prose.heading(design)), _opening(prose), *middle, tracker)


def _with_noise(rng: np.random.Generator, blocks: list[Block]) -> list[Block]:
    """Puts banners, a grey placeholder and trackers where they never come between a picture and its text."""
    if rng.random() < 0.30:
        banner = NoiseImage(f"assets/banner-{rng.integers(NUM_BANNERS)}.png", "banner", 728, 90)
        at = 2 if rng.random() < 0.5 else len(blocks) - 1
        blocks = [*blocks[:at], banner, *blocks[at:]]
    if rng.random() < 0.05:
        blocks = [*blocks, NoiseImage("assets/placeholder.png", "single colour", 200, 200)]
    tracker = "https://stats.example.org/hit.gif" if rng.random() < 0.5 else "assets/pixel.gif"
    return [*blocks, NoiseImage(tracker, "one-pixel tracker", 1, 1)]


def _linked(text: str, prose: Prose) -> Paragraph:
    return Paragraph(text, link=prose.place if prose.place in text else "")
