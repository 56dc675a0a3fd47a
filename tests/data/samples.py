"""Small media and documents, and a tokenizer whose tokens one can count by eye."""

import io
import re
from fractions import Fraction

import av
import numpy as np
from PIL import Image as Picture

from flamingo_jax.data.document import Document, Image, Text, Video
from flamingo_jax.data.tokenizer import IMAGE_TAG


class WordTokenizer:
    """One token a word or punctuation mark, three for the tag."""

    bos_id, eos_id, eoc_id = 0, 1, 10_000
    image_tag_ids = (2, 3, 4)

    def encode(self, text):
        assert IMAGE_TAG not in text
        return [5 + sum(map(ord, word)) % 9000 for word in re.findall(r"\w+|[^\w\s]", text)]


def picture_bytes(colour=(200, 30, 60), size=(32, 24), fmt="PNG", **options):
    buffer = io.BytesIO()
    Picture.new("RGB", size, colour).save(buffer, fmt, **options)
    return buffer.getvalue()


def noise_bytes(seed, size=(48, 40), fmt="JPEG"):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, fmt)
    return buffer.getvalue()


def grey_of_second(second):
    """The shade of the test clips' frames in this second: 25 steps apart, so that coding noise does not matter."""
    return 10 + 25 * second


def encode_clip(frames, rate, key_every=10):
    """An mp4 of these uint8 [H, W, 3] frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"g": str(key_every), "crf": "10"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def clip_bytes(seconds, rate=10, size=(48, 32), key_every=10):
    """An mp4 whose frames show the second they are in as a shade of grey."""
    shades = [grey_of_second(index // rate) for index in range(round(seconds * rate))]
    return encode_clip([np.full((size[1], size[0], 3), shade, np.uint8) for shade in shades], rate, key_every)


def pair(key, caption="a red box", encoded=None):
    return Document(key, (Image(picture_bytes() if encoded is None else encoded, key), Text(caption)))


def clip(key, encoded, caption="grey gets lighter"):
    return Document(key, (Video(encoded, key), Text(caption)))


def page(key, layout, encoded=None):
    """`layout` is a string of items: "i" an image, a digit a paragraph of that many words."""
    picture = picture_bytes() if encoded is None else encoded
    items = []
    for place, item in enumerate(layout):
        words = " ".join(f"w{place}x{word}" for word in range(int(item))) if item != "i" else ""
        items.append(Image(picture, f"{key}/{place}") if item == "i" else Text(words))
    return Document(key, tuple(items))
