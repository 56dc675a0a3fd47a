"""Features of pictures and clips by the frozen vision encoder, for RICES."""

import io
from collections.abc import Iterator, Sequence

import numpy as np
from etils import epath
from jaxtyping import Float
from tqdm import tqdm

from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.evaluation.fewshot.shown import load_all
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session

_FRAMES_AT_ONCE = 64
_PART = 4096  # media of a file: what a kill may cost


def features(session: Session, items: Sequence[Item], path: epath.Path) -> Float[np.ndarray, "items width"]:
    """The mean of the encoder's output over positions and frames, scaled to length 1.

    They are kept beside `path`, some thousand media a file; folders from before have all of them in `path` itself.

    Raises:
      ConfigError, MediaError: a file cannot be read or decoded.
    """
    media = list(dict.fromkeys(item.medium for item in items))
    found = _kept(path, _names(media))
    if found is None:
        found = np.concatenate([*_parts(session, media, path)])
    places = {medium: place for place, medium in enumerate(media)}
    return found[[places[item.medium] for item in items]]


def _names(media: Sequence[MediaFile]) -> np.ndarray:
    return np.array([repr((str(medium.path), medium.span)) for medium in media])


def _kept(path: epath.Path, names: np.ndarray) -> Float[np.ndarray, "media width"] | None:
    """What was made of these media before, if it was."""
    if not path.exists():
        return None
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
        return kept["features"] if np.array_equal(kept["names"], names) else None


def _parts(
    session: Session, media: Sequence[MediaFile], path: epath.Path
) -> Iterator[Float[np.ndarray, "media width"]]:
    frames = session.pixels.num_frames if any(medium.video for medium in media) else 1
    rows = max(1, _FRAMES_AT_ONCE // frames)
    size = rows * max(1, _PART // rows)  # whole batches: those of a run that was killed are the same
    path.parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(media), desc=f"features of the {path.stem}", leave=False) as bar:
        for number, start in enumerate(range(0, len(media), size)):
            part, some = path.parent / f"{path.stem}-{number:05}.npz", media[start : start + size]
            found = _kept(part, _names(some))
            if found is None:
                found = _encoded(session, some, rows, frames, bar)
                buffer = io.BytesIO()
                np.savez(buffer, names=_names(some), features=found)
                write_whole(part, buffer.getvalue())
            else:
                bar.update(len(some))
            yield found


def _encoded(
    session: Session, media: Sequence[MediaFile], rows: int, frames: int, bar: tqdm
) -> Float[np.ndarray, "media width"]:
    found = []
    for start in range(0, len(media), rows):
        found.append(session.pooled_features(load_all(media[start : start + rows]), rows, frames))
        bar.update(len(found[-1]))
    return np.concatenate(found)
