"""How a session prepares images: as one of the datasets that its model was trained on; and a run of other machines."""

from types import SimpleNamespace

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.text import TextConfig
from flamingo_jax.inference import session
from flamingo_jax.inference.session import Session
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from tests import tiny


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


def test_a_run_with_the_kernel_of_other_devices_answers_but_does_not_train(monkeypatch, tmp_path):
    run = RunConfig(tiny.config(attention="flash"), None, SimpleNamespace(datasets=(), strategy="all"), None)
    with pytest.raises(ConfigError, match=r"FlamingoConfig.attention = 'flash' does not run on cpu devices: set 'xla'"):
        Design.make(run)

    class Opened(Exception):
        pass

    def tokenizer(run):
        raise Opened(run.model.attention)

    monkeypatch.setattr(session, "load_run", lambda workdir: run)
    monkeypatch.setattr(session, "run_tokenizer", tokenizer)
    with pytest.raises(Opened, match="xla"):
        Session.open(tmp_path)
