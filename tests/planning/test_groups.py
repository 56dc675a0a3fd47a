import numpy as np
import pytest

from flamingo_jax.planning.groups import read_groups


@pytest.mark.parametrize(
    ("attributes", "groups"),
    [
        ("channel_id=1, replica_groups={{0,1},{2,3}}, dimensions={0}", [[0, 1], [2, 3]]),
        ("replica_groups={}", [[0, 1, 2, 3]]),
        ("replica_groups=[2,2]<=[4], use_global_device_ids=true", [[0, 1], [2, 3]]),
        ("replica_groups=[2,2]<=[2,2]T(1,0), dimensions={1}", [[0, 2], [1, 3]]),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=2] {'axis_0'}, dimensions={0}", [[0, 2], [1, 3]]),
        ("replica_groups=mesh['axis_0'=2,'axis_1'=2] {'axis_1'}", [[0, 1], [2, 3]]),
        ("replica_groups=mesh[a=2,b=2] {a,b}", [[0, 1, 2, 3]]),
        ("replica_groups=mesh[a=2,b=2] {b,a}", [[0, 2, 1, 3]]),
        ("replica_groups=mesh['a'=4], device_ids=([3,2,1,0]) {'a':(1)2}", [[3, 1], [2, 0]]),
        ("replica_groups=mesh['a'=8] {'a':(2)2}", [[0, 2], [1, 3], [4, 6], [5, 7]]),
        ("replica_groups=mesh['a'=8] {'a':(1)2,'a':(4)2}", [[0, 1, 4, 5], [2, 3, 6, 7]]),
        ("channel_id=1, source_target_pairs={{0,1},{1,0}}", [[0, 1], [1, 0]]),
    ],
)
def test_reads_every_way_of_writing_groups(attributes, groups):
    np.testing.assert_array_equal(read_groups(attributes, 4), groups)


def test_three_axes_of_an_iota():
    ids = np.arange(64).reshape(4, 4, 4).transpose(2, 1, 0).reshape(16, 4)
    np.testing.assert_array_equal(read_groups("replica_groups=[16,4]<=[4,4,4]T(2,1,0)", 64), ids)


def test_says_what_it_cannot_read():
    with pytest.raises(ValueError, match="no groups of chips"):
        read_groups("channel_id=3", 4)
