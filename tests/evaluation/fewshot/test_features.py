"""Features for RICES: those that a killed evaluation has made are kept, and are the same."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath

from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.fewshot import features as lib

COUNT = 1000


class Killed(BaseException):
    pass


class Encoder:
    """In the place of a session: features are the number in the file, and batches are counted."""

    pixels = SimpleNamespace(num_frames=8)

    def __init__(self, batches: int):
        self.left, self.sizes = batches, []

    def pooled_features(self, media, rows, frames):
        if len(self.sizes) == self.left:
            raise Killed
        self.sizes.append(len(media))
        assert len(media) <= rows and frames == 1
        return np.array([[float(medium.encoded), 1.0] for medium in media], np.float32)


@pytest.fixture
def items(tmp_path, monkeypatch):
    monkeypatch.setattr(lib, "_PART", 300)
    for place in range(COUNT):
        (tmp_path / f"{place}.png").write_text(str(place))
    return [Item(str(place), MediaFile(str(tmp_path / f"{place}.png")), "", "") for place in range(COUNT)]


def test_a_killed_evaluation_goes_on_with_the_parts_that_are_there(items, tmp_path):
    path = epath.Path(tmp_path) / "features" / "queries.npz"
    whole = lib.features(Encoder(99), items, epath.Path(tmp_path) / "whole" / "queries.npz")
    assert whole[:, 0].tolist() == [*range(COUNT)]
    with pytest.raises(Killed):
        lib.features(Encoder(9), items, path)
    assert sorted(part.name for part in path.parent.iterdir()) == ["queries-00000.npz", "queries-00001.npz"]
    encoder = Encoder(99)
    np.testing.assert_array_equal(lib.features(encoder, items, path), whole)
    assert sum(encoder.sizes) == COUNT - 2 * 256  # batches of 64, four a part
    np.testing.assert_array_equal(lib.features(Encoder(0), items, path), whole)
    with pytest.raises(Killed):
        lib.features(Encoder(0), items[1:], path)


def test_folders_from_before_have_one_file(items, tmp_path):
    path, buffer = epath.Path(tmp_path) / "queries.npz", io.BytesIO()
    names = np.array([repr((item.medium.path, None)) for item in items])
    np.savez(buffer, names=names, features=np.ones((COUNT, 3), np.float32))
    path.write_bytes(buffer.getvalue())
    assert lib.features(Encoder(0), items, path).shape == (COUNT, 3)
