"""The pictures and clips of a set of items as visual tokens, each made once.

They are made in fixed blocks, so that what an item looks like to the model does not depend, not even by rounding, on
the order in which items are asked for: an evaluation that was killed and goes on sees the same.
"""

import collections
from collections.abc import Callable, Iterable, Sequence

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaFile
from flamingo_jax.inference.media import VisualTokens
from flamingo_jax.inference.session import Session

_BLOCK, _MOST = 16, 4096  # media of a block; and of a set whose blocks are likely to be remembered when they are wanted
_REMEMBERED = 1 << 32  # bytes of visual tokens, on the host

Load = Callable[[Sequence[MediaFile]], list[Image | Video]]


class ShownMedia:
    """Visual tokens of items, by their place."""

    def __init__(self, session: Session, items: Sequence[Item], load: Load | None = None):
        """
        Args:
          session: one that remembers no media: its own memory knows them by their bytes, whichever block they came in.
          load: reads the files; None: `load_all`.
        """
        self._session, self._load = session, load or load_all
        self._media = list(dict.fromkeys(item.medium for item in items))
        small = len(self._media) <= _MOST and not any(medium.video for medium in self._media)
        self._block = _BLOCK if small else 1
        places = {medium: place for place, medium in enumerate(self._media)}
        self._places = [places[item.medium] for item in items]
        self._blocks: collections.OrderedDict[int, list[VisualTokens]] = collections.OrderedDict()
        self._bytes = 0

    def __call__(self, place: int) -> VisualTokens:
        """The visual tokens of an item.

        Raises:
          ConfigError: a file cannot be read or decoded; the message names it.
        """
        block, within = divmod(self._places[place], self._block)
        if block not in self._blocks:
            self._blocks[block] = self._encode(self._media[block * self._block : (block + 1) * self._block])
            self._bytes += sum(medium.tokens.nbytes for medium in self._blocks[block])
            while self._bytes > _REMEMBERED and len(self._blocks) > 1:
                _, oldest = self._blocks.popitem(last=False)
                self._bytes -= sum(medium.tokens.nbytes for medium in oldest)
        self._blocks.move_to_end(block)
        return self._blocks[block][within]

    def _encode(self, media: Sequence[MediaFile]) -> list[VisualTokens]:
        return self._session.encode_media(self._load(media))


def load_all(media: Iterable[MediaFile]) -> list[Image | Video]:
    """The files of media.

    Raises:
      ConfigError: one cannot be read.
    """
    try:
        return [medium.load() for medium in media]
    except OSError as error:
        raise ConfigError(f"cannot read a file of the benchmark: {error}. Fetch it again") from error


def explained(error: MediaError, title: str) -> ConfigError:
    """What to do about a file of a release that cannot be decoded."""
    return ConfigError(
        f"{title}: {error}. The file is damaged: fetch it again, or delete it and leave such items out (skip_missing)"
    )
