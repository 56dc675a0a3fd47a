"""Features of pictures and clips by the frozen vision encoder, for RICES."""

import dataclasses
import functools
import io
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Array, Bool, Float, UInt8
from tqdm import tqdm

from flamingo_jax.data.media import load_media
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.fewshot.shown import load_all
from flamingo_jax.html.files import write_whole
from flamingo_jax.inference.session import Session
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.quantized import as_variables
from flamingo_jax.training.state import Params

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


def _encoded(session: Session, media: Sequence, title: str) -> Float[np.ndarray, "media width"]:
    pixels = session.pixels
    frames = pixels.num_frames if any(medium.video for medium in media) else 1
    rows, encode = max(1, _FRAMES_AT_ONCE // frames), _pooled(session.model)
    found = []
    for start in tqdm(range(0, len(media), rows), desc=f"features of the {title}", leave=False):
        block, mask = _block(load_all(media[start : start + rows]), rows, frames, pixels)
        found.append(np.asarray(encode(session.params, block, mask)))
    return np.concatenate(found)[: len(media)]


def _block(files: Sequence, rows: int, frames: int, pixels) -> tuple[np.ndarray, np.ndarray]:
    block, mask = load_media(files, rows, dataclasses.replace(pixels, num_frames=frames), None)
    return block, mask


@functools.lru_cache(maxsize=4)
def _pooled(model: Flamingo) -> Callable[..., Float[Array, "media width"]]:
    def encode(
        params: Params,
        pixels: UInt8[Array, "media frames size size 3"],
        mask: Bool[Array, "media frames"],
    ) -> Float[Array, "media width"]:
        flat = pixels.reshape(-1, *pixels.shape[2:])
        states = model.apply(as_variables(params), flat, method="encode_pixels").astype(jnp.float32)
        means = states.mean(axis=1).reshape(*mask.shape, -1)
        pooled = (means * mask[..., None]).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)[:, None]
        return pooled / jnp.maximum(jnp.linalg.norm(pooled, axis=-1, keepdims=True), 1e-12)

    return jax.jit(encode)
