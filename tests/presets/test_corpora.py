"""The gin files of the corpus builders: the defaults, and each value reaches its field."""

import argparse
from pathlib import Path

import pytest

from data_pipelines import command_line
from data_pipelines.fetching.config import FetchConfig
from data_pipelines.formats import conversion, registry
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.output import BuildError
from flamingo_jax.config import resolve

FOLDER = Path(__file__).parents[2] / "gin" / "corpora"
DEFAULTS = {
    "m3w": M3WConfig(),
    "fetch": FetchConfig(),
    **{
        name: conversion.ConversionConfig(form.config() if form.config else None)
        for name, form in registry.FORMATS.items()
    },
}


def test_every_file_belongs_to_a_command():
    assert {path.stem for path in FOLDER.glob("*.gin")} == set(DEFAULTS)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_file_holds_the_defaults(name):
    assert resolve(type(DEFAULTS[name]), [str(FOLDER / f"{name}.gin")], []) == DEFAULTS[name]


def flags(name: str, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command_line.add_gin_flags(parser, name)
    return parser.parse_args(arguments)


def test_a_binding_reaches_its_field_without_a_file():
    config = command_line.configure(flags("m3w", "--gin", "TextRules.min_words=7"), M3WConfig)
    assert config.text.min_words == 7 and config.images == M3WConfig().images
    config = command_line.configure(
        flags("clips", "--gin=ClipRules.max_side=99", "--gin=VideoListConfig.captions='first'"),
        conversion.ConversionConfig,
    )
    assert config.clips.max_side == 99 and config.source.captions == "first"


def test_a_misspelt_binding_is_one_error():
    with pytest.raises(BuildError, match="min_word"):
        command_line.configure(flags("m3w", "--gin=TextRules.min_word=7"), M3WConfig)
