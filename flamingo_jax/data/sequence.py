"""A document as one stream of tokens with tags where its images stand, and what each token of the stream sees.

The stream of a page is `<BOS>`, its text with `<image>` at the place of each image, an `<EOC>` before every tag that
does not open the document, and `<EOC><EOS>` (paper, section 3.2.1; an `<EOC>` that follows nothing is left out as in
the paper's few-shot prompts).
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Int, Int32

from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.tokenizer import IMAGE_TAG, Tokenizer

_SPELLED_OUT = "< image>"


@dataclasses.dataclass(frozen=True, slots=True)
class TokenStream:
    """All tokens of a document, and where its media stand.

    Attributes:
      tokens: the ids.
      tag_starts: for each medium, the position of the first sub-token of its tag.
      tag_length: sub-tokens a tag.
      chunk_ends: positions of the `<EOC>` tokens.
      media: the images and clips, in order.
    """

    tokens: Int32[np.ndarray, " tokens"]
    tag_starts: Int[np.ndarray, " media"]
    tag_length: int
    chunk_ends: Int[np.ndarray, " chunks"]
    media: tuple[Image | Video, ...]


def plain_text(text: str) -> str:
    """The text with any `<image>` that its author wrote spelled `< image>`: only real images have the tag."""
    return text.replace(IMAGE_TAG, _SPELLED_OUT)


def tokenize(document: Document, tokenizer: Tokenizer, paragraph_separator: str) -> TokenStream:
    """The stream of the document. Paragraphs between two media are joined by the separator and encoded as one text."""
    tokens, tag_starts, chunk_ends = [tokenizer.bos_id], [], []
    paragraphs: list[str] = []

    def flush() -> None:
        if paragraphs:
            tokens.extend(tokenizer.encode(plain_text(paragraph_separator.join(paragraphs))))
            paragraphs.clear()

    def end_chunk() -> None:
        chunk_ends.append(len(tokens))
        tokens.append(tokenizer.eoc_id)

    for item in document.items:
        if isinstance(item, Text):
            paragraphs.append(item.text)
            continue
        flush()
        if len(tokens) > 1:
            end_chunk()
        tag_starts.append(len(tokens))
        tokens.extend(tokenizer.image_tag_ids)
    flush()
    end_chunk()
    tokens.append(tokenizer.eos_id)
    return TokenStream(
        np.asarray(tokens, np.int32),
        np.asarray(tag_starts, np.int64),
        len(tokenizer.image_tag_ids),
        np.asarray(chunk_ends, np.int64),
        document.media,
    )


def media_in_window(stream: TokenStream, start: int, length: int) -> range:
    """Which media stand in the window: those the first sub-token of whose tag does."""
    first, last = np.searchsorted(stream.tag_starts, [start, start + length])
    return range(int(first), int(last))


def previous_image(stream: TokenStream, start: int, length: int, max_images: int) -> Int32[np.ndarray, " window"]:
    """For each token of the window the last image before it, counted from 1 in the window; 0 if there is none.

    The tag's first sub-token sees the new image already; the `<EOC>` before it still sees the old one (paper, figure of
    the image-causal mask). Tokens of an image beyond the first `max_images` see nothing.
    """
    positions = np.arange(start, min(start + length, len(stream.tokens)))
    window = media_in_window(stream, start, length)
    index = np.searchsorted(stream.tag_starts[window.start : window.stop], positions, side="right")
    return np.where(index > max_images, 0, index).astype(np.int32)


def next_image(stream: TokenStream, start: int, length: int, max_images: int) -> Int32[np.ndarray, " window"]:
    """For each token of the window the image whose tag is the first to end at or after it; 0 if there is none.

    So text, the `<EOC>` after it and the tag see the image that comes next. What tokens after the last image see is not
    stated in the paper; here they see nothing, as do those before an image beyond the first `max_images`.
    """
    positions = np.arange(start, min(start + length, len(stream.tokens)))
    window = media_in_window(stream, start, length)
    tag_ends = stream.tag_starts[window.start : window.stop] + stream.tag_length - 1
    index = np.searchsorted(tag_ends, positions, side="left") + 1
    return np.where(index > min(len(window), max_images), 0, index).astype(np.int32)


def in_chunk(stream: TokenStream) -> Bool[np.ndarray, " tokens"]:
    """True after a tag up to and including the next `<EOC>`: OpenFlamingo's targets (its train_utils.py)."""
    positions = np.arange(len(stream.tokens))
    tags = np.searchsorted(stream.tag_starts, positions, side="right")
    after_tag = np.zeros(len(positions), bool)
    seen = tags > 0
    starts = stream.tag_starts[tags[seen] - 1]
    ends = stream.chunk_ends[np.searchsorted(stream.chunk_ends, starts)]
    after_tag[seen] = (positions[seen] >= starts + stream.tag_length) & (positions[seen] <= ends)
    return after_tag
