"""Figures over many rows of one dataset."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from flamingo_jax.data.document import Image
from flamingo_jax.data.inspect.media_facts import medium_facts
from flamingo_jax.data.inspect.row_facts import direction, text_lengths
from flamingo_jax.data.inspect.spread import ordered, share, spread
from flamingo_jax.data.rows import Origin, Row
from flamingo_jax.data.tokenizer import Tokenizer


class RowStatistics:
    """Counts rows; `summary` is what is known so far."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._rows = self._documents = self._skipped = 0
        self._tokens = self._used = self._targets = self._bytes = 0
        self._images, self._frames, self._unseen = Counter(), Counter(), 0
        self._index, self._directions = Counter(), Counter()
        self._texts: list[int] = []
        self._row_bytes: list[int] = []
        self._media: list[tuple[bool, Any]] = []

    def add(self, row: Row, origins: Iterable[Origin]) -> None:
        """Counts a row; `origins` are the documents in it."""
        example = row.example
        self._rows += 1
        self._documents += len(row.filled)
        self._skipped += row.skipped
        self._tokens += len(example.tokens)
        used = example.segment_ids > 0
        self._used += int(used.sum())
        self._targets += int(example.loss_mask.sum())
        self._bytes += sum(getattr(example, name).nbytes for name in example.__slots__)
        held = example.frame_mask.any(axis=-1)
        self._images[int(held.sum())] += 1
        self._frames.update(example.frame_mask.sum(axis=-1)[held].tolist())
        self._index.update(example.image_index[used].tolist())
        self._unseen += sum(not seen_by(example, place) for place in np.flatnonzero(held) + 1)
        self._directions[direction(example, self._tokenizer)] += 1
        self._texts += text_lengths(example, self._tokenizer)
        media = [medium for origin in origins for medium in origin.media]
        self._media += [(isinstance(medium, Image), medium_facts(medium)) for medium in media]
        self._row_bytes.append(sum(len(medium.encoded) for medium in media))

    def summary(self) -> dict[str, Any]:
        """All figures, as JSON has them; shares lie in [0, 1].

        `tokens.targets_share` is of the tokens in use, `sees` counts rows (by what `row_facts.direction` says),
        `image_index` tokens in use by the image that they see, `text_after_image` tokens a tag.
        """
        shown = {str(key or "unknown"): count for key, count in self._directions.items()}
        looking = shown.get("next", 0) + shown.get("previous", 0)
        return {
            "rows": self._rows,
            "documents": self._documents,
            "skipped_records": self._skipped,
            "skipped_share": round(share(self._skipped, self._skipped + self._documents), 4),
            "tokens": {
                "all": self._tokens,
                "used": self._used,
                "padding": self._tokens - self._used,
                "targets": self._targets,
                "used_share": round(share(self._used, self._tokens), 4),
                "targets_share": round(share(self._targets, self._used), 4),
            },
            "images_a_row": ordered(self._images),
            "rows_without_images_share": round(share(self._images[0], self._rows), 4),
            "images_unseen": self._unseen,
            "frames_an_image": ordered(self._frames),
            "image_index": ordered(self._index),
            "sees": ordered(shown),
            "sees_next_share": round(share(shown.get("next", 0), looking), 4) if looking else None,
            "text_after_image": spread(self._texts),
            "stills": media_summary([facts for still, facts in self._media if still]),
            "clips": media_summary([facts for still, facts in self._media if not still]),
            "encoded_bytes_a_row": spread(self._row_bytes),
            "batch_bytes_a_row": round(share(self._bytes, self._rows)),
        }


def seen_by(example, place: int) -> int:
    """How many tokens see the image at this place, counted from 1."""
    return int(((example.image_first <= place) & (place <= example.image_index) & (example.image_first > 0)).sum())


def media_summary(media: Iterable[Any]) -> dict[str, Any]:
    """Formats and sizes of stored images or clips, of their headers' word; `unreadable` have none that can be read."""
    media = list(media)
    known = [facts for facts in media if facts.known]
    figures = {
        "count": len(media),
        "unreadable": len(media) - len(known),
        "formats": ordered(Counter(facts.format for facts in known)),
        "width": spread(facts.width for facts in known),
        "height": spread(facts.height for facts in known),
        "bytes": spread(facts.size for facts in media),
    }
    timed = [facts.seconds for facts in known if facts.seconds]
    return figures | ({"seconds": spread(timed)} if timed else {})
