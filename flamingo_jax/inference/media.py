"""Pictures and clips as visual tokens: each is encoded once, however many prompts show it."""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from flamingo_jax.data.dataset_config import DatasetConfig
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.media import load_media
from flamingo_jax.inference.buckets import batch_rows
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.models.flamingo import FlamingoConfig

_FRAMES_AT_ONCE = 64  # pictures, or frames of clips, that a batch of the encoder has
_READERS = 8  # threads that decode files; they wait for C code that lets others run


@dataclasses.dataclass(frozen=True, eq=False)
class VisualTokens:
    """A picture or clip as the language model sees it; stands for it in prompts.

    Attributes:
      tokens: what `Flamingo.encode_images` makes of it.
    """

    tokens: Float[np.ndarray, "latents visual_width"]


Medium = Image | Video | VisualTokens
Encode = Callable[
    [UInt8[np.ndarray, "count 1 frames size size 3"], Bool[np.ndarray, "count 1 frames"]],
    Float[Array, "count latents visual_width"],
]


class MediaEncoder:
    """Encodes media, and remembers what was used last."""

    def __init__(self, encode: Encode, pixels: DatasetConfig, parts: int = 1, capacity: int = 2**31):
        """
        Args:
          encode: pictures of one number of frames to visual tokens, on the devices.
          pixels: how files become pictures. Stills have one frame, clips `pixels.num_frames`.
          parts: what numbers of pictures must be a multiple of.
          capacity: bytes of visual tokens to remember, in the memory of the host.
        """
        self._encode, self._pixels, self._parts, self._capacity = encode, pixels, parts, capacity
        self._known: collections.OrderedDict[bytes, VisualTokens] = collections.OrderedDict()
        self._size = 0

    def __call__(self, media: Sequence[Medium]) -> list[VisualTokens]:
        """The visual tokens of each, in order.

        Raises:
          MediaError: a file cannot be decoded; the message names it.
        """
        keys = [None if isinstance(medium, VisualTokens) else media_key(medium) for medium in media]
        found, missing = {}, {}
        for key, medium in zip(keys, media, strict=True):
            if key in self._known:
                self._known.move_to_end(key)
                found[key] = self._known[key]
            elif key is not None:
                missing[key] = medium
        for kind, frames in ((Image, 1), (Video, self._pixels.num_frames)):
            chosen = {key: medium for key, medium in missing.items() if isinstance(medium, kind)}
            pixels = dataclasses.replace(self._pixels, num_frames=frames)
            found |= zip(chosen, self._encoded([*chosen.values()], pixels), strict=True)
        for key in missing:
            self._remember(key, found[key])
        return [medium if key is None else found[key] for key, medium in zip(keys, media, strict=True)]

    def _encoded(self, media: Sequence[Image | Video], pixels: DatasetConfig) -> list[VisualTokens]:
        most = max(1, _FRAMES_AT_ONCE // pixels.num_frames)
        found: list[VisualTokens] = []
        with ThreadPoolExecutor(_READERS) as pool:
            while len(found) < len(media):
                rows = batch_rows(len(media) - len(found), most, self._parts)
                some = media[len(found) : len(found) + rows]
                blocks = [*pool.map(lambda medium: load_media([medium], 1, pixels, None), some)]
                blocks += blocks[:1] * (rows - len(some))
                images, mask = (np.stack(parts) for parts in zip(*blocks, strict=True))
                tokens = np.asarray(self._encode(images, mask))
                found += [VisualTokens(each.copy()) for each in tokens[: len(some)]]
        return found

    def _remember(self, key: bytes, medium: VisualTokens) -> None:
        self._known[key] = medium
        self._size += medium.tokens.nbytes
        while self._size > self._capacity:
            _, oldest = self._known.popitem(last=False)
            self._size -= oldest.tokens.nbytes


def load_on_threads(
    media: Sequence[Image | Video], capacity: int, pixels: DatasetConfig
) -> tuple[UInt8[np.ndarray, "capacity frames size size 3"], Bool[np.ndarray, "capacity frames"]]:
    """As `load_media` without random changes, on several threads."""
    with ThreadPoolExecutor(_READERS) as pool:
        blocks = [*pool.map(lambda medium: load_media([medium], 1, pixels, None), media)]
    blocks.append(load_media((), capacity - len(media), pixels, None))
    images, mask = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return images, mask


def media_key(medium: Image | Video) -> bytes:
    """What tells media apart: the bytes of the file, and what of it is shown."""
    kind = repr((type(medium).__name__, getattr(medium, "span", None))).encode()
    return hashlib.blake2b(medium.encoded, digest_size=16).digest() + kind


def media_block(
    rows: Sequence[Sequence[VisualTokens]], places: int, config: FlamingoConfig
) -> Float[np.ndarray, "rows keys visual_width"]:
    """The visual tokens of each row's media, one after the other, and 0 in places that are left.

    Raises:
      PromptError: they are those of another model.
    """
    shape = (config.resampler.num_latents, config.language.width if config.project_visual else config.resampler.width)
    block = np.zeros((len(rows), places, *shape), jnp.dtype(config.dtype))
    for row, media in zip(block, rows, strict=True):
        for place, medium in enumerate(media):
            if medium.tokens.shape != shape:
                raise PromptError(
                    f"visual tokens of shape {medium.tokens.shape} where this model's are {shape}: encode the media "
                    "with the model that is asked"
                )
            row[place] = medium.tokens
    return block.reshape(len(rows), places * shape[0], shape[1])
