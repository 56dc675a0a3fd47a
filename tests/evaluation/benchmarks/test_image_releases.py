"""What holds of every picture benchmark: whole releases are read, and damaged ones are refused with one clear error."""

import importlib

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.images import load_image
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS
from flamingo_jax.evaluation.benchmarks.release import check_media, locate, require

NAMES = (
    "coco",
    "vqav2",
    "okvqa",
    "flickr30k",
    "vizwiz",
    "textvqa",
    "visdial",
    "hateful_memes",
    "imagenet",
)
SPLITS = [(name, split) for name in NAMES for split in BENCHMARKS[name].files]
FILES = [(name, split, file) for name, split in SPLITS for file in BENCHMARKS[name].files[split]]
ANNOTATIONS = [(name, split, file) for name, split, file in FILES if file.path.endswith((".json", ".jsonl"))]
PUBLIC = [(name, split) for name, split in SPLITS if split not in ("test", "test-dev") or name in ("coco", "flickr30k")]


@pytest.fixture
def folder(tmp_path, request) -> epath.Path:
    """A small release of the benchmark named by the test's parameters."""
    name = request.node.callspec.params["name"]
    importlib.import_module(f"tests.evaluation.benchmarks.releases.{name}").write(tmp_path)
    return epath.Path(tmp_path)


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_a_whole_split_is_read(folder, name, split):
    benchmark = BENCHMARKS[name]
    require(folder, benchmark.files[split], benchmark.title)
    items = check_media(benchmark.read(folder, split), benchmark.title)
    assert len(items) >= (8 if split == benchmark.support_split else 2)
    assert len({item.key for item in items}) == len(items)
    assert benchmark.read(folder, split) == items  # keys and order are the same each time
    for item in items:
        load_image(item.medium.load().encoded, size=32, max_pixels=10**6)
        assert item.prompt == item.prompt.strip()
        assert item.label in range(-1, len(item.candidates))


@pytest.mark.parametrize("name", NAMES)
def test_queries_and_examples_are_enough_for_four_shots(folder, name):
    benchmark = BENCHMARKS[name]
    queries = benchmark.read(folder, benchmark.query_split)
    examples = benchmark.read(folder, benchmark.support_split)
    assert len(queries) >= 6 and len(examples) >= 8
    assert all(item.answer for item in examples)
    assert not {item.medium.path for item in queries} & {item.medium.path for item in examples}


@pytest.mark.parametrize(("name", "split"), PUBLIC)
def test_items_of_public_splits_have_references(folder, name, split):
    items = BENCHMARKS[name].read(folder, split)
    assert all(item.references for item in items) or (name, split) == ("visdial", "train")  # those are examples alone


@pytest.mark.parametrize(("name", "split"), [pair for pair in SPLITS if pair not in PUBLIC])
def test_items_of_splits_whose_answers_are_kept_back_have_none(folder, name, split):
    items = BENCHMARKS[name].read(folder, split)
    assert len(items) >= 6
    assert not any(item.references or item.answer for item in items)
    assert BENCHMARKS[name].server_answers is not None


@pytest.mark.parametrize(("name", "split", "file"), FILES)
def test_a_missing_file_is_named_with_its_release(folder, name, split, file):
    path = locate(folder, file)
    path.rmtree() if path.is_dir() else path.unlink()
    with pytest.raises(ConfigError) as error:
        require(folder, BENCHMARKS[name].files[split], BENCHMARKS[name].title)
    assert str(folder / file.path) in str(error.value) and file.release in str(error.value)


@pytest.mark.parametrize(("name", "split", "file"), ANNOTATIONS)
def test_a_truncated_file_is_named(folder, name, split, file):
    path = locate(folder, file)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(ConfigError, match=rf"{path.name}.* is not (complete )?JSON .*cut short"):
        BENCHMARKS[name].read(folder, split)


@pytest.mark.parametrize(("name", "split", "file"), ANNOTATIONS)
def test_a_file_of_another_kind_is_named(folder, name, split, file):
    locate(folder, file).write_text('{"annotations": [{"other": 1}], "questions": [{}], "data": [{}], "images": [{}]}')
    with pytest.raises(ConfigError, match=file.path.rpartition("/")[2]):
        BENCHMARKS[name].read(folder, split)


@pytest.mark.parametrize(("name", "split"), [pair for pair in SPLITS if pair != ("imagenet", "train")])
def test_a_missing_picture_is_named(folder, name, split):
    benchmark = BENCHMARKS[name]
    path = epath.Path(benchmark.read(folder, split)[0].medium.path)
    path.unlink()
    with pytest.raises(ConfigError, match=rf"{benchmark.title}: 1 pictures .*are not there.*\n  {path}"):
        check_media(benchmark.read(folder, split), benchmark.title)
