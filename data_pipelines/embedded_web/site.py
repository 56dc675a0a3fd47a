"""Writes the web site."""

import pathlib
from collections.abc import Callable

from data_pipelines.embedded_web.assets import site_assets
from data_pipelines.embedded_web.blocks import NoiseImage, Page
from data_pipelines.embedded_web.designs import boilerplate_images, render_index, render_page
from data_pipelines.embedded_web.images import encode_scene, write_file
from data_pipelines.embedded_web.pages import compose_page
from data_pipelines.embedded_web.truth import Truth

_KEPT_OF_TRUNCATED = 0.4  # enough for a header, not for a picture


def write_site(folder: pathlib.Path, seed: int, num_pages: int, truth: Truth, advance: Callable[[], object]) -> None:
    """Writes `num_pages` pages, an index and their images below `folder`; calls `advance` after each page."""
    for path, content in site_assets(seed).items():
        write_file(folder / path, content)
    pages = [compose_page(seed, number) for number in range(num_pages)]
    for number, page in enumerate(pages):
        earlier = tuple(pages[number - step].path for step in (1, 2, 5) if number >= step)
        write_file(folder / page.path, render_page(page, earlier))
        _write_pictures(folder, page, truth)
        _record(page, truth)
        advance()
    content, index = render_index(pages)
    write_file(folder / index.path, content)
    _record(index, truth)


def _write_pictures(folder: pathlib.Path, page: Page, truth: Truth) -> None:
    for picture in page.pictures:
        write_file(folder / picture.path, encode_scene(picture.scene, picture.path.rpartition(".")[2]))
        truth.add("m3w", picture.path, picture.caption, picture.scene.attributes)
    if page.truncated is not None:
        content = encode_scene(page.truncated.scene, page.truncated.path.rpartition(".")[2])
        write_file(folder / page.truncated.path, content[: int(_KEPT_OF_TRUNCATED * len(content))])


def _record(page: Page, truth: Truth) -> None:
    noise = [block for block in page.blocks if isinstance(block, NoiseImage)] + boilerplate_images(page)
    truth.noise_images |= {f"m3w/{image.path}": image.reason for image in noise}
    truth.pages[page.path] = {
        "items": page.items(),
        "noise_images": list(dict.fromkeys(image.path for image in noise)),
        "encoding": page.encoding,
        "declared_encoding": page.declared,
        "drop": page.drop,
    }
