"""Media that are drawn when they are needed."""

import json
import os
import signal
import subprocess
import sys
import time

from etils import epath

from flamingo_jax.evaluation.benchmarks.generated import Drawn

# Draws slowly, so that a kill meets it anywhere.
SLOW = """
import sys, time
from etils import epath
from flamingo_jax.evaluation.benchmarks.generated import Drawn
def draw(recipe):
    time.sleep(0.02)
    return bytes([recipe["n"]]) * 200_000
Drawn(draw).write(epath.Path(sys.argv[1]), [{"n": n} for n in range(40)])
"""


def test_equal_recipes_share_a_file_and_others_do_not(tmp_path):
    drawn = Drawn(lambda recipe: json.dumps(recipe).encode(), "json")
    folder = epath.Path(tmp_path / "new" / "folder")
    drawn.write(folder, [{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}])
    assert len(list((folder / "media").iterdir())) == 2
    path = drawn.path(folder, {"a": 1, "b": 2})
    assert path == drawn.path(folder, {"b": 2, "a": 1}) and json.loads(path.read_text()) == {"a": 1, "b": 2}


def test_what_is_there_is_not_drawn_again(tmp_path):
    calls = []

    def draw(recipe):
        calls.append(recipe["n"])
        return b"x"

    for count in (2, 3):
        Drawn(draw).write(epath.Path(tmp_path), [{"n": number} for number in range(count)])
    assert calls == [0, 1, 2]


def test_a_kill_leaves_whole_files_alone(tmp_path):
    """Killed with -9 in the middle; what is there is complete, and the next call draws the rest."""
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)])
    folder = tmp_path / "media"
    began = time.monotonic()
    while not folder.exists() or len(list(folder.glob("*.png"))) < 5:
        assert process.poll() is None and time.monotonic() - began < 60
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    there = [path for path in folder.iterdir() if path.suffix == ".png"]
    assert 5 <= len(there) < 40
    assert all(path.stat().st_size == 200_000 for path in there)
    subprocess.run([sys.executable, "-c", SLOW, str(tmp_path)], check=True, timeout=60)
    assert len(list(folder.glob("*.png"))) == 40
