import importlib.util
import os

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.parallel.topology import CHIPS, Topology, compiler_environment, parse_topology

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs libtpu")


@pytest.mark.parametrize("name", CHIPS)
def test_the_clock_is_what_the_peak_rate_and_the_matrix_units_give(name):
    chip = CHIPS[name]
    per_cycle = 2 * chip.matrix_units * chip.matrix_side**2
    assert per_cycle * chip.clock_hz == pytest.approx(chip.peak_flops, rel=2.5e-3)


@pytest.mark.parametrize(("name", "gigabytes"), [("v4", 300), ("v5e", 200), ("v5p", 600), ("v6e", 400)])
def test_links_add_up_to_the_published_bandwidth_of_a_chip(name, gigabytes):
    # One direction of all links. Of v4, 2,400 Gbit/s are published; the book that we follow counts 45 of 50 GB/s.
    chip = CHIPS[name]
    assert 2 * chip.dimensions * chip.link_bandwidth == pytest.approx(gigabytes * 1e9, rel=0.1)


@pytest.mark.parametrize(
    ("text", "chips", "wraps"),
    [
        ("v4:8x12x16", 1536, (True, True, True)),
        ("v5p:8x12x16", 1536, (True, True, True)),
        ("v5p:2x2x1", 4, (False, False, False)),
        ("v5p:2x2x4", 16, (False, False, False)),
        ("v5p:4x4x4", 64, (True, True, True)),
        ("v5e:16x16", 256, (True, True)),
        ("v5e:8x16", 128, (False, True)),
        ("v6e:8x8", 64, (False, False)),
        ("v5e:1x1", 1, (False, False)),
    ],
)
def test_reads_topologies(text, chips, wraps):
    topology = parse_topology(text)
    assert (topology.name, topology.chips, topology.wraps) == (text, chips, wraps)


def test_slices_multiply_the_chips():
    assert parse_topology("v5e:16x16", slices=4).chips == 1024


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("v9:2x2", "unknown chip 'v9'.*v4, v5e, v5p, v6e"),
        ("v5e", "write chip:shape"),
        ("v5e:", "write chip:shape"),
        ("v5e:4x", "write chip:shape"),
        ("v5e:2x2x2", "2 dimensions"),
        ("v5p:4x4", "3 dimensions"),
        ("v5p:3x4x4", "no such slice"),
        ("v5p:6x4x4", "no such slice"),
        ("v5p:1x4x4", "no such slice"),
        ("v5e:12x12", "no such slice"),
        ("v5e:0x4", "no such slice"),
        ("v5e:32x16", "512 chips, the largest slice of v5e 256.*--slices"),
        ("v4:16x16x20", "5120 chips, the largest slice of v4 4096"),
    ],
)
def test_names_what_is_wrong_with_a_topology(text, says):
    with pytest.raises(ConfigError, match=says):
        parse_topology(text)


def test_the_number_of_slices_must_be_positive():
    with pytest.raises(ConfigError, match="number of slices"):
        parse_topology("v5e:4x4", slices=0)


@needs_libtpu
@pytest.mark.parametrize(("name", "slices"), [("v4:4x4x4", 1), ("v5e:4x4", 2), ("v5p:2x2x1", 1), ("v6e:2x4", 1)])
def test_a_device_is_a_chip(name, slices, monkeypatch):
    for key, value in compiler_environment().items():
        monkeypatch.setenv(key, os.environ.get(key, value))
    topology = parse_topology(name, slices)
    devices = topology.devices()
    assert len(devices) == topology.chips
    places = {(getattr(one, "slice_index", None) or 0, *one.coords[: len(topology.shape)]) for one in devices}
    assert len(places) == topology.chips
    largest = [max(place[1 + axis] for place in places) + 1 for axis in range(len(topology.shape))]
    assert tuple(largest) == topology.shape


def test_says_how_to_install_the_compiler(monkeypatch):
    def not_there(*_, **__):
        raise ImportError("JAX TPU support not installed; cannot generate TPU topology.")

    monkeypatch.setattr("flamingo_jax.parallel.topology.topologies.get_topology_desc", not_there)
    with pytest.raises(ConfigError, match=r"pip install 'flamingo-jax\[plan\]'"):
        parse_topology("v5e:4x4").devices()


def test_says_that_another_process_has_the_compiler(monkeypatch):
    def locked(*_, **__):
        raise RuntimeError("ABORTED: Internal error when accessing libtpu multi-process lockfile.")

    monkeypatch.setattr("flamingo_jax.parallel.topology.topologies.get_topology_desc", locked)
    with pytest.raises(ConfigError, match="another process uses libtpu"):
        Topology(CHIPS["v5e"], (4, 4)).devices()
