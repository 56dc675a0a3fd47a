"""What rollbacks have skipped, kept beside the checkpoints."""

import pytest
from etils import epath

from flamingo_jax.training.checkpoint_errors import CheckpointError
from flamingo_jax.training.position import Position
from flamingo_jax.training.skipped_data import FILE, SkippedData


def test_it_belongs_to_the_checkpoint_that_was_gone_back_to(tmp_path):
    kept = SkippedData(epath.Path(tmp_path))
    kept.note(Position(4, 9, roll_backs=1))
    kept.note(Position(8, 20, roll_backs=2))
    assert SkippedData(epath.Path(tmp_path)).after(Position(4, 4, {"tokens/a": 3})) == Position(
        4, 9, {"tokens/a": 3}, 1
    )
    assert kept.after(Position(8, 13, roll_backs=1)) == Position(8, 20, roll_backs=2)
    assert kept.after(Position(12, 24, roll_backs=2)) == Position(12, 24, roll_backs=2)


def test_a_later_checkpoint_of_the_same_number_is_not_moved_back(tmp_path):
    kept = SkippedData(epath.Path(tmp_path))
    kept.note(Position(8, 20, roll_backs=2))
    assert kept.after(Position(8, 31, roll_backs=3)) == Position(8, 31, roll_backs=3)


def test_a_new_run_begins_without(tmp_path):
    kept = SkippedData(epath.Path(tmp_path))
    kept.forget()
    kept.note(Position(0, 6, roll_backs=1))
    kept.forget()
    assert kept.after(Position()) == Position()


@pytest.mark.parametrize("content", ["{", "[]", '{"4": 3}', '{"4": {"data_step": 9}}', '{"4": {"data_step": "x"}}'])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(CheckpointError, match=f"{FILE} is damaged.*delete it"):
        SkippedData(epath.Path(tmp_path)).after(Position(4, 4))
