from types import SimpleNamespace

import numpy as np
import pytest

from flamingo_jax.parallel.topology import parse_topology
from flamingo_jax.planning.network import HOP_SECONDS, Network, sent_bytes

MEGABYTE = 10**6


def network(name: str, *shape: int, slices: int = 1, order=None) -> tuple[Network, float]:
    """Over a mesh whose axes a, b, ... are the torus' dimensions, x first, unless `order` permutes the chips."""
    topology = parse_topology(name, slices)
    places = [(*place, *[0] * (3 - len(place))) for place in np.ndindex(topology.shape)]
    devices = np.empty(topology.chips, dtype=object)
    for index in range(topology.chips):
        part, place = divmod(index, len(places))
        devices[index] = SimpleNamespace(coords=places[place], slice_index=part if slices > 1 else None)
    devices = devices if order is None else devices[order]
    mesh = SimpleNamespace(devices=devices.reshape(shape), axis_names=tuple("abcdef"[: len(shape)]))
    return Network(topology, mesh), topology.chip.link_bandwidth


def groups_along(shape: tuple[int, ...], *axes: int) -> np.ndarray:
    ids = np.arange(np.prod(shape)).reshape(shape)
    others = [axis for axis in range(len(shape)) if axis not in axes]
    return ids.transpose(*others, *axes).reshape(-1, int(np.prod([shape[axis] for axis in axes])))


def test_bytes_that_a_chip_sends():
    assert sent_bytes("all-gather", 10, 4) == 30
    assert sent_bytes("reduce-scatter", 40, 4) == 30
    assert sent_bytes("all-reduce", 40, 4) == 60
    assert sent_bytes("all-to-all", 40, 4) == 30
    assert sent_bytes("collective-permute", 40, 2) == 40


def test_a_line_of_chips_gathers_through_one_link():
    # "How to Scale Your Model", pop quiz 2: bf16[2048, 8192] over 4 chips of v5e is 3 hops of 8.4 MB.
    chips, link = network("v5e:8x4", 8, 4)
    shard = 2048 * 8192 * 2 // 4
    assert chips.seconds("all-gather", groups_along((8, 4), 1), shard) == pytest.approx(3 * shard / link)


def test_a_ring_of_chips_gathers_both_ways():
    chips, link = network("v5e:16x16", 16, 16)
    found = chips.seconds("all-gather", groups_along((16, 16), 0), MEGABYTE)
    assert found == pytest.approx(15 * MEGABYTE / (2 * link))


def test_two_dimensions_have_twice_the_links():
    chips, link = network("v5p:4x4x8", 4, 4, 8)
    found = chips.seconds("reduce-scatter", groups_along((4, 4, 8), 0, 2), 32 * MEGABYTE)
    assert found == pytest.approx(31 * MEGABYTE / (4 * link))
    assert chips.seconds("all-reduce", groups_along((4, 4, 8), 0, 2), 32 * MEGABYTE) == pytest.approx(2 * found)


def test_half_a_dimension_is_a_line():
    chips, link = network("v5e:16x16", 16, 2, 8)
    found = chips.seconds("all-gather", groups_along((16, 2, 8), 2), MEGABYTE)
    assert found == pytest.approx(7 * MEGABYTE / link)


def test_groups_whose_members_are_apart_share_their_links():
    chips, link = network("v5e:16x16", 16, 8, 2)
    found = chips.seconds("all-gather", groups_along((16, 8, 2), 1), MEGABYTE)
    assert found == pytest.approx(7 * MEGABYTE / (2 * link / 2))


def test_groups_across_the_torus_are_slower_than_along_it():
    order = np.random.default_rng(0).permutation(64)
    mixed, _ = network("v5p:4x4x4", 16, 4, order=order)
    along, _ = network("v5p:4x4x4", 16, 4)
    groups = groups_along((16, 4), 1)
    assert mixed.seconds("all-gather", groups, MEGABYTE) > 2 * along.seconds("all-gather", groups, MEGABYTE)


def test_a_permutation_takes_as_long_as_its_busiest_link():
    chips, link = network("v5e:16x16", 16, 16)
    rows = np.arange(256).reshape(16, 16)
    shifted = {by: np.stack([rows, np.roll(rows, -by, axis=1)], axis=-1).reshape(-1, 2) for by in (1, -1, 3, 15)}
    for by, loads in ((1, 1), (-1, 1), (3, 3), (15, 1)):
        found = chips.seconds("collective-permute", shifted[by], MEGABYTE)
        assert found == pytest.approx(loads * MEGABYTE / link), by


def test_a_shift_along_a_line_crosses_it_to_close():
    chips, link = network("v5e:8x8", 8, 8)
    rows = np.arange(64).reshape(8, 8)
    pairs = np.stack([rows, np.roll(rows, -1, axis=1)], axis=-1).reshape(-1, 2)
    # Forward one message a link, and backward the one from the last chip to the first.
    assert chips.seconds("collective-permute", pairs, MEGABYTE) == pytest.approx(MEGABYTE / link)


def test_an_all_to_all_costs_a_quarter_of_an_all_gather():
    # "How to Scale Your Model", "AllToAll": on a ring, of the same array.
    chips, _ = network("v5e:16x16", 16, 16)
    groups = groups_along((16, 16), 0)
    found = chips.seconds("all-to-all", groups, 16 * MEGABYTE)
    assert found == pytest.approx(chips.seconds("all-gather", groups, 16 * MEGABYTE) / 4, rel=0.2)


def test_small_exchanges_wait_for_the_hops():
    chips, _ = network("v5e:16x16", 16, 16)
    assert chips.seconds("all-gather", groups_along((16, 16), 0), 1) == pytest.approx(8 * HOP_SECONDS)


def test_names_the_axes_that_a_group_spans():
    chips, _ = network("v5p:4x4x8", 4, 4, 8)
    assert chips.axes(groups_along((4, 4, 8), 1)) == ("b",)
    assert chips.axes(groups_along((4, 4, 8), 0, 2)) == ("a", "c")
    assert chips.axes(groups_along((4, 4, 8), 0, 1, 2)) == ("a", "b", "c")


def test_of_several_slices_the_partitions_are_those_of_one():
    chips, link = network("v5e:4x4", 2, 4, 4, slices=2)
    assert chips.partitions == 16
    assert chips.slice_axes == ("a",)
    assert chips.axes(groups_along((4, 4), 1)) == ("c",)
    assert chips.seconds("all-gather", groups_along((4, 4), 1), MEGABYTE) == pytest.approx(3 * MEGABYTE / link)
    assert chips.slice_seconds(MEGABYTE) == pytest.approx(MEGABYTE / 3.125e9)
