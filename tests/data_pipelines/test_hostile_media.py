"""The builder's image rules on the gallery: each file is kept, or dropped by the rule that says what is wrong."""

import pytest

from tests import hostile_program
from tests.hostile_media import GALLERY


@pytest.fixture(scope="module")
def report() -> dict:
    """What a process that only judges images reports."""
    return hostile_program.run("builder")


@pytest.mark.parametrize("name", GALLERY)
def test_the_builder_keeps_or_drops(report, name):
    assert report["outcomes"][name] == GALLERY[name].rule


def test_what_is_kept_can_be_loaded():
    assert all(specimen.loads for specimen in GALLERY.values() if not specimen.rule)


def test_no_file_costs_much_memory(report):
    """The largest that is decoded has 25 megapixels with transparency: 100 MB."""
    assert report["growth"] < 160e6


def test_no_file_starts_a_program_or_a_connection(report):
    assert report["started"] == []
    assert "subprocess.Popen" in report["control"]  # the EPS would have
