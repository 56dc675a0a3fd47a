"""Shows the gallery to one of our readers in a process that is watched: `python -m tests.hostile_program loader`.

Prints JSON: what became of each file, how much memory that took, and which programs and connections were started.
"""

import contextlib
import io
import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path

from PIL import Image

from tests.hostile_media import GALLERY

MAX_PIXELS = 64_000_000  # what `DatasetConfig` has
SIZE = 128
PLACES = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
_ROOT = Path(__file__).parents[1]
_WATCHED = (
    "subprocess",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "socket.conn",
)
# The limit is only there so that a reader that swallows a bomb does not take the machine with it.
_ADDRESS_SPACE = 4 << 30


def run(reader: str) -> dict:
    """The report of a process that shows the gallery to "builder" or "loader".

    Returns:
      "outcomes" by file: the builder's rule or ""; the loader's colours at `PLACES`, or its error's name and message.
      "growth": how many bytes more than at its start the process had at its peak. "started": what it started.
      "control": what Pillow starts for an EPS file if one lets it.
    """
    command = [sys.executable, "-m", "tests.hostile_program", reader]
    result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def _build(encoded: bytes) -> str:
    from data_pipelines import image_rules

    return image_rules.reason(encoded, image_rules.ImageRules()) or ""


def _load(encoded: bytes) -> list:
    from flamingo_jax.data.images import load_image

    try:
        image = load_image(encoded, size=SIZE, max_pixels=MAX_PIXELS)
    except Exception as error:
        return [type(error).__name__, str(error)]
    assert image.mode == "RGB" and max(image.size) == SIZE
    return [image.getpixel((int(image.width * x), int(image.height * y))) for x, y in PLACES]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _main(reader: str) -> None:
    warnings.simplefilter("ignore")
    show = {"builder": _build, "loader": _load}[reader]
    specimens = {name: specimen.encoded for name, specimen in GALLERY.items()}
    show(specimens["RGB PNG"])  # imports what the reader needs
    events: list[str] = []
    sys.addaudithook(lambda event, _: events.append(event) if event.startswith(_WATCHED) else None)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, resource.getrlimit(resource.RLIMIT_AS)[1]))
    before = _peak()
    outcomes = {name: show(encoded) for name, encoded in specimens.items()}
    report = {"outcomes": outcomes, "growth": _peak() - before, "started": [*events]}
    with contextlib.suppress(OSError):  # there may be no interpreter to start
        Image.open(io.BytesIO(specimens["EPS"])).load()
    print(json.dumps({**report, "control": events}))


if __name__ == "__main__":
    _main(sys.argv[1])
