"""The loader on the gallery: it decodes what it should, in the right colours, and survives the rest."""

import io

import av
import numpy as np
import pytest

from flamingo_jax.data.document import Document, Image, Text
from flamingo_jax.data.errors import RecordError
from flamingo_jax.data.pairs import PairsConfig
from tests import hostile_program
from tests.data import samples
from tests.hostile_media import AS_INKS, GALLERY


@pytest.fixture(scope="module")
def report() -> dict:
    """What a process that only loads images reports."""
    return hostile_program.run("loader")


@pytest.mark.parametrize("name", GALLERY)
def test_the_loader_decodes_or_refuses(report, name):
    specimen, outcome = GALLERY[name], report["outcomes"][name]
    if not specimen.loads:
        assert outcome[0] == "MediaError" and len(outcome[1].splitlines()) == 1
        return
    loaded = dict(zip(hostile_program.PLACES, outcome, strict=True))
    for place, colour in specimen.shows.items():
        assert np.abs(np.subtract(loaded[place], colour)).max() <= specimen.tolerance, (place, loaded[place], colour)


def test_no_file_costs_much_memory(report):
    """The largest that is decoded has 25 megapixels with transparency: 100 MB, and as much again as RGB."""
    assert report["growth"] < 260e6


def test_no_file_starts_a_program_or_a_connection(report):
    assert report["started"] == []
    assert "subprocess.Popen" in report["control"]  # the EPS would have


@pytest.mark.parametrize("name", [name for name, specimen in GALLERY.items() if specimen.shows == AS_INKS])
def test_another_decoder_sees_the_same_inks(name):
    """FFmpeg's own JPEG and TIFF decoders; so the polarities of the gallery's CMYK files are the usual ones."""
    with av.open(io.BytesIO(GALLERY[name].encoded)) as container:
        image = next(container.decode(video=0)).to_image()
    for (x, y), colour in AS_INKS.items():
        assert np.abs(np.subtract(image.getpixel((int(image.width * x), int(image.height * y))), colour)).max() <= 6


def test_a_bomb_in_a_dataset_is_a_record_that_the_mixture_replaces():
    bomb = GALLERY["PNG of 168 megapixels"].encoded
    document = Document("bomb", (Image(bomb, "bomb.png"), Text("a bomb")))
    with pytest.raises(RecordError, match=r"'bomb': .*an image of 14000 x 12000 pixels"):
        PairsConfig(path="unused", batch_size=1).example(document, samples.WordTokenizer())
