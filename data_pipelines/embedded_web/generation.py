"""Makes an embedded web: all or nothing, once per folder."""

import dataclasses
import json
import os
import pathlib
import shutil

import tqdm

from data_pipelines.embedded_web.clips import write_clips
from data_pipelines.embedded_web.images import write_file
from data_pipelines.embedded_web.pairs import write_pairs
from data_pipelines.embedded_web.site import write_site
from data_pipelines.embedded_web.truth import Truth

# Raise it whenever the same settings give other files than before.
_FORMAT = 1
_SETTINGS_FILE = "settings.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What decides every byte of an embedded web.

    Item i of each kind depends on the seed and i alone: larger numbers add items, and of the earlier files only
    the lists of them change (the site's index, `clips.json`, `truth.json`).
    """

    seed: int = 0
    pages: int = 400
    pairs: int = 1000
    clips: int = 160

    def __post_init__(self):
        """Raises ValueError if a number is negative, or there is no page to make a site of."""
        for name, least in (("seed", 0), ("pages", 1), ("pairs", 0), ("clips", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {least}")


def generate(root: str | os.PathLike, settings: Settings, *, progress: bool = True) -> bool:
    """Writes an embedded web below `root`, or finds that it is there already.

    Everything is written beside `root` first and renamed at the end, so `root` is complete whenever it exists.

    Returns:
      Whether anything was written; False if `root` was made with the same settings before.

    Raises:
      FileExistsError: `root` holds something else, or was made with other settings.
      OSError: a file cannot be written; nothing is left behind.
    """
    root = pathlib.Path(os.path.abspath(root))  # noqa: PTH100 (resolve() would follow a link that may be renamed over)
    if _exists(root, settings):
        return False
    partial = root.with_name(f".{root.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    truth = Truth()
    total = settings.pages + settings.pairs + settings.clips
    try:
        with tqdm.tqdm(total=total, desc="embedded web", unit="item", disable=None if progress else True) as bar:
            write_site(partial / "site", settings.seed, settings.pages, truth, bar.update)
            write_pairs(partial / "pairs", settings.seed, settings.pairs, truth, bar.update)
            write_clips(partial / "clips", settings.seed, settings.clips, truth, bar.update)
        write_file(partial / "truth.json", truth.to_json().encode())
        write_file(partial / _SETTINGS_FILE, (json.dumps(_record(settings), indent=1) + "\n").encode())
        partial.rename(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return True


def _record(settings: Settings) -> dict[str, int]:
    return {"format": _FORMAT, **dataclasses.asdict(settings)}


def _exists(root: pathlib.Path, settings: Settings) -> bool:
    """Whether `root` was made with `settings`; raises FileExistsError if something else is in the way."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    try:
        found = dict(json.loads((root / _SETTINGS_FILE).read_text()))
    except (OSError, ValueError, TypeError):
        raise FileExistsError(
            f"{root} exists and is no embedded web (no readable {_SETTINGS_FILE} in it): "
            "give another --output, or delete it"
        ) from None
    wanted = _record(settings)
    if found == wanted:
        return True
    keys = [key for key in wanted if found.get(key) != wanted[key]]
    differences = ", ".join(f"{key} {found.get(key)} there and {wanted[key]} here" for key in keys)
    raise FileExistsError(
        f"{root} was made with other settings ({differences or 'unknown entries'}): "
        "give the same settings or another --output, or delete it"
    )
