"""What is said of missing files and media of a release."""

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.benchmarks.catalog import find
from flamingo_jax.evaluation.benchmarks.release import ReleaseFile, check_media, locate, require

QUESTIONS = ReleaseFile("questions.json", "questions.zip of example.org", alternatives=("all/questions.json",))
IMAGES = ReleaseFile("images/", "images.tar of example.org")


def _touch(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def _items(folder, *names: str) -> list[Item]:
    return [Item(name, MediaFile(f"{folder}/{name}"), "", "") for name in names]


def test_a_whole_release_passes_also_with_files_in_their_other_places(tmp_path):
    _touch(tmp_path, "all/questions.json", "images/1.jpg")
    require(epath.Path(tmp_path), (QUESTIONS, IMAGES), "Title")
    assert locate(epath.Path(tmp_path), QUESTIONS) == epath.Path(tmp_path) / "all/questions.json"


def test_the_first_place_is_taken_and_named_where_there_is_none(tmp_path):
    assert locate(epath.Path(tmp_path), QUESTIONS) == epath.Path(tmp_path) / "questions.json"
    _touch(tmp_path, "all/questions.json", "questions.json")
    assert locate(epath.Path(tmp_path), QUESTIONS) == epath.Path(tmp_path) / "questions.json"


def test_missing_files_are_named_with_their_release_and_place(tmp_path):
    _touch(tmp_path, "images/1.jpg")
    with pytest.raises(ConfigError) as error:
        require(epath.Path(tmp_path), (QUESTIONS, IMAGES), "Title")
    assert str(error.value) == (
        f"Title: 1 of 2 files of the release are missing:\n  {tmp_path}/questions.json (or as all/questions.json): "
        "questions.zip of example.org"
    )


def test_empty_files_and_folders_count_as_missing(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "questions.json").touch()
    with pytest.raises(ConfigError, match="2 of 2 files"):
        require(epath.Path(tmp_path), (QUESTIONS, IMAGES), "Title")


def test_an_archive_that_was_not_unpacked_is_pointed_out(tmp_path):
    _touch(tmp_path, "questions.json", "images.tar")
    with pytest.raises(ConfigError, match=r"images: images\.tar of example\.org; images\.tar is there: unpack it"):
        require(epath.Path(tmp_path), (QUESTIONS, IMAGES), "Title")


def test_an_archive_of_another_name_is_pointed_out(tmp_path):
    _touch(tmp_path, "All.zip", "images/1.jpg")
    inside = ReleaseFile("questions.json", "All.zip of example.org", archive="All.zip")
    with pytest.raises(ConfigError, match=r"All\.zip of example\.org; All\.zip is there: unpack it"):
        require(epath.Path(tmp_path), (inside, IMAGES), "Title")


@pytest.mark.parametrize(
    ("name", "archive"),
    [("vizwiz", "Annotations.zip"), ("vqav2", "v2_Questions_Val_mscoco.zip"), ("msvd_qa", "MSVD-QA.zip")],
)
def test_the_archives_of_releases_are_pointed_out(tmp_path, name, archive):
    _touch(tmp_path, archive)
    benchmark = find(name)
    with pytest.raises(ConfigError, match=f"; {archive} is there: unpack it"):
        require(epath.Path(tmp_path), benchmark.files[benchmark.query_split], benchmark.title)


def test_without_the_folder_all_files_are_listed(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere(.|\n)*questions\.json: (.|\n)*images/: "):
        require(epath.Path(tmp_path) / "nowhere", (QUESTIONS, IMAGES), "Title")


def test_media_that_are_there_pass(tmp_path):
    _touch(tmp_path, "a/1.jpg", "b/1.jpg", "b/unrelated.jpg")
    items = _items(tmp_path, "a/1.jpg", "b/1.jpg", "a/1.jpg")
    assert check_media(items, "Title") == items


def test_missing_media_are_counted_and_the_first_are_named(tmp_path):
    _touch(tmp_path, "a/0.jpg")
    items = _items(tmp_path, *(f"a/{number}.jpg" for number in range(8)), "nowhere/1.jpg", "nowhere/1.jpg")
    with pytest.raises(ConfigError) as error:
        check_media(items, "Title")
    text = str(error.value)
    assert text.startswith("Title: 8 pictures or clips, of 9 of 10 items, are not there.")
    assert text.endswith("".join(f"\n  {tmp_path}/a/{number}.jpg" for number in range(1, 6)) + "\n  ...")


def test_of_a_partial_set_the_items_that_are_there_remain(tmp_path):
    _touch(tmp_path, "a/1.jpg", "a/3.jpg")
    items = _items(tmp_path, "a/1.jpg", "a/2.jpg", "a/3.jpg")
    assert [item.key for item in check_media(items, "Title", partial=True)] == ["a/1.jpg", "a/3.jpg"]


def test_a_partial_set_without_any_medium_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="2 pictures or clips, of 2 of 2 items"):
        check_media(_items(tmp_path, "a/1.jpg", "a/2.jpg"), "Title", partial=True)


def test_no_items_pass(tmp_path):
    assert check_media([], "Title") == []
