"""Pictures as data URIs, so that a page needs no other file."""

import base64
import io

from PIL import Image


def data_uri(picture: Image.Image) -> str:
    """A picture in RGB as PNG or JPEG, whichever is smaller."""
    candidates = []
    for kind, options in (("png", {"optimize": True}), ("jpeg", {"quality": 88, "optimize": True})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        candidates.append((kind, buffer.getvalue()))
    kind, smallest = min(candidates, key=lambda candidate: len(candidate[1]))
    return f"data:image/{kind};base64,{base64.b64encode(smallest).decode()}"
