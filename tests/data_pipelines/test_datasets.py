"""Documents written to TFDS and read back; the split; nothing else touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from data_pipelines.datasets import split_keys, write
from flamingo_jax.data.document import Document, Image, Text, Video


def document(key: str) -> Document:
    payload = bytes(range(256)) + key.encode()
    return Document(key, (Text(f"Ünicode {key}"), Image(payload, f"img/{key}.png"), Video(b"\x00\xff", key), Text("x")))


def test_documents_come_back_as_they_went_in(tmp_path, capfd):
    keys = [f"pages/{number}.html" for number in range(30)]
    splits = split_keys(keys, 0.2)
    directory = write(tmp_path, "web", splits, document)
    assert str(directory) == str(tmp_path / "web" / "1.0.0")
    builder = tfds.builder_from_directory(directory)
    assert builder.info.file_format.value == "array_record"
    for split, members in splits.items():
        found = [Document.from_record(record) for record in builder.as_data_source(split)]
        assert {found_one.key: found_one for found_one in found} == {key: document(key) for key in members}
    out, err = capfd.readouterr()
    assert out == "" and "WARNING" not in err and "ERROR" not in err


def test_nothing_is_written_outside_the_folder(tmp_path):
    code = (
        "from data_pipelines.datasets import write\n"
        "from flamingo_jax.data.document import Document, Text\n"
        f"write({str(tmp_path / 'out')!r}, 'web', {{'train': ['a']}}, lambda key: Document(key, (Text('t'),)))\n"
    )
    (tmp_path / "home").mkdir()
    environment = {**os.environ, "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home")}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], env=environment, check=True)
    assert list((tmp_path / "home").iterdir()) == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["web"]
    assert len(list((tmp_path / "out" / "web" / "1.0.0").iterdir())) == 3


def test_an_error_in_a_document_is_not_swallowed(tmp_path):
    def load(key: str) -> Document:
        raise FileNotFoundError(f"no file {key}")

    with pytest.raises(OSError, match="no file a"):
        write(tmp_path, "web", {"train": ["a"]}, load)


def test_the_split_depends_on_each_key_alone():
    keys = [f"k{number}" for number in range(4000)]
    splits = split_keys(keys, 0.1)
    assert sorted(splits["train"] + splits["validation"]) == sorted(keys)
    assert 330 < len(splits["validation"]) < 470  # 400 expected, standard deviation 19
    half = split_keys(keys[::-2], 0.1)
    assert set(half["validation"]) == set(splits["validation"]) & set(keys[::-2])
    assert set(splits["validation"]) < set(split_keys(keys, 0.3)["validation"])


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.999])
def test_both_splits_have_something(fraction):
    for number in range(2, 12):
        splits = split_keys([f"k{index}" for index in range(number)], fraction)
        assert splits["train"] and splits["validation"]


def test_one_key_or_no_fraction_gives_train_only():
    assert split_keys(["a"], 0.9) == {"train": ["a"]}
    assert split_keys(["b", "a"], 0) == {"train": ["a", "b"]}
    for fraction in (-0.1, 1.0):
        with pytest.raises(ValueError, match="validation fraction"):
            split_keys(["a"], fraction)
