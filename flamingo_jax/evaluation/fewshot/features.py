"""Features of pictures and clips by the frozen vision encoder, for RICES."""

import io
from collections.abc import Sequence

import numpy as np
from etils import epath
from jaxtyping import Float
from tqdm import tqdm

from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.fewshot.shown import load_all
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

_FRAMES_AT_ONCE = 64


def features(session: Session, items: Sequence[Item], path: epath.Path) -> Float[np.ndarray, "items width"]:
    """The mean of the encoder's output over positions and frames, scaled to length 1; kept in the file `path`.

    Raises:
      ConfigError, MediaError: a file cannot be read or decoded.
    """
    media = list(dict.fromkeys(item.medium for item in items))
    names = np.array([repr((str(medium.path), medium.span)) for medium in media])
    found = _kept(path, names)
    if found is None:
        found = _encoded(session, media, path.stem)
        buffer = io.BytesIO()
        np.savez(buffer, names=names, features=found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, buffer.getvalue())
    places = {medium: place for place, medium in enumerate(media)}
    return found[[places[item.medium] for item in items]]


def _kept(path: epath.Path, names: np.ndarray) -> Float[np.ndarray, "media width"] | None:
    """What was made of these media before, if it was."""
    if not path.exists():
        return None
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
        return kept["features"] if np.array_equal(kept["names"], names) else None


def _encoded(session: Session, media: Sequence[MediaFile], title: str) -> Float[np.ndarray, "media width"]:
    frames = session.pixels.num_frames if any(medium.video for medium in media) else 1
    rows = max(1, _FRAMES_AT_ONCE // frames)
    found = [
        session.pooled_features(load_all(media[start : start + rows]), rows, frames)
        for start in tqdm(range(0, len(media), rows), desc=f"features of the {title}", leave=False)
    ]
    return np.concatenate(found)
