"""How a session prepares images: as one of the datasets that its model was trained on."""

from types import SimpleNamespace

from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.text import TextConfig
from flamingo_jax.inference.session import Session


def pixels(*datasets):
    run = SimpleNamespace(mixture=SimpleNamespace(datasets=[(str(place), each) for place, each in enumerate(datasets)]))
    return Session(run, None, {}, None, 0, 0, 0).pixels


def test_datasets_of_text_do_not_tell_how_images_are_prepared():
    shape = {"path": "", "batch_size": 4, "image_size": 224, "pad_value": (1, 2, 3)}
    text, pages = TextConfig(path="", batch_size=4), InterleavedConfig(**shape, images_seen="all")
    assert pixels(text, pages) == pages


def test_packed_pairs_do_not_tell_what_a_token_sees():
    """Eight images a row, but one a document: fewer than the five of a page."""
    shape = {"path": "", "batch_size": 4, "image_size": 224}
    pairs = PairsConfig(**shape, documents_per_row=8, length=256)
    pages = InterleavedConfig(**shape, images_seen="all")
    assert pixels(pairs, pages).images_seen == pixels(pages, pairs).images_seen == "all"
