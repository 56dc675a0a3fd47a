import pytest
from etils import epath

from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles


@pytest.fixture
def folder(tmp_path):
    return epath.Path(tmp_path)


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"clip")


def test_finds_whatever_extension_a_clip_has(folder):
    put(folder, "a.mkv", "deep/er/b.MP4", "-c_d.webm", "notes.txt", "e.info.json")
    clips = ClipFiles(folder)
    assert clips.path("a") == f"{folder}/a.mkv"
    assert clips.path("deep/er/b") == f"{folder}/deep/er/b.MP4"
    assert clips.path("-c_d") == f"{folder}/-c_d.webm"
    assert clips.path("notes") == f"{folder}/notes.mp4"  # none: where it would be


def test_takes_the_first_name_that_is_there(folder):
    put(folder, "class/x.mp4", "x.mp4", "y.avi")
    clips = ClipFiles(folder)
    assert clips.path("class/x", "x") == f"{folder}/class/x.mp4"
    assert clips.path("class/y", "y") == f"{folder}/y.avi"
    assert clips.path("class/z", "z") == f"{folder}/class/z.mp4"


def test_of_two_files_of_a_name_takes_always_the_same(folder):
    put(folder, "a.webm", "a.mkv", "a.mp4")
    assert ClipFiles(folder).path("a") == f"{folder}/a.mkv"


def test_half_a_download_is_no_clip(folder):
    put(folder, "a.mp4.part", "b.f137.mp4")
    clips = ClipFiles(folder)
    assert clips.path("a") == f"{folder}/a.mp4" and not epath.Path(clips.path("a")).exists()
    assert not epath.Path(clips.path("b")).exists()


def test_a_folder_that_is_not_there_is_empty(folder):
    assert ClipFiles(folder / "none").path("a") == f"{folder}/none/a.mp4"
