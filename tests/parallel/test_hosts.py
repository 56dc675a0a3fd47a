"""Which rows a process holds, however the devices of processes lie in the mesh."""

import dataclasses

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.parallel import hosts


@dataclasses.dataclass(frozen=True)
class Rows:
    """A sharding of rows over places of a mesh, each a process's: what `hosts` asks of one."""

    mesh: np.ndarray  # [data, tensor] of process numbers

    def devices_indices_map(self, shape):
        (count,), parts = shape, len(self.mesh)
        share = count // parts
        return {
            Device(place * self.mesh.shape[1] + column, int(process)): (slice(place * share, (place + 1) * share),)
            for place, row in enumerate(self.mesh)
            for column, process in enumerate(row)
        }


@dataclasses.dataclass(frozen=True)
class Device:
    id: int
    process_index: int


LAYOUTS = {
    "data over processes": np.array([[0], [1], [2], [3]]),
    "tensor within processes": np.array([[0, 0], [1, 1]]),
    "tensor over processes": np.array([[0, 1], [2, 3]]),
    "tensor over all": np.array([[0, 1, 2, 3]]),
    "not neighbours": np.array([[0], [1], [0], [1]]),
    "half shared": np.array([[0, 1], [1, 2], [2, 0]]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_row_is_read_where_a_device_holds_it_and_owned_once(name):
    layout, count = LAYOUTS[name], 12
    owners = np.zeros(count, int)
    for process in range(layout.max() + 1):
        rows = hosts.process_rows(Rows(layout), count, process)
        shares = np.split(np.arange(count), len(layout))
        assert rows == sorted({row for place, share in enumerate(shares) if process in layout[place] for row in share})
        owners[np.array(rows)[hosts.owned_rows(Rows(layout), count, process)]] += 1
    assert (owners == 1).all()


def test_processes_of_one_tensor_group_read_the_same_rows():
    layout = Rows(LAYOUTS["tensor over processes"])
    assert hosts.process_rows(layout, 8, 0) == hosts.process_rows(layout, 8, 1) == [0, 1, 2, 3]
    assert hosts.process_rows(layout, 8, 2) == hosts.process_rows(layout, 8, 3) == [4, 5, 6, 7]


def test_placed_rows_are_the_global_array():
    mesh = Mesh(np.asarray(jax.devices()[:1]), ("data",))
    values = np.arange(12).reshape(4, 3)
    placed = hosts.place_rows(values, [0, 1, 2, 3], NamedSharding(mesh, PartitionSpec("data")), 4)
    np.testing.assert_array_equal(np.asarray(placed), values)


def test_alone_there_is_nothing_to_exchange():
    mesh = Mesh(np.asarray(jax.devices()[:1]), ("data",))
    np.testing.assert_array_equal(hosts.ProcessSum(mesh)(np.array([3, 4])), [3, 4])
    np.testing.assert_array_equal(hosts.sum_tables(np.array([1, 2], np.uint8)), [1, 2])
    assert hosts.of_first(7) == 7
