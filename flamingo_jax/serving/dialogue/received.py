"""Files that the user sends, from disk."""

from pathlib import Path

from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.uploads import Limits, UploadError, check_upload


def receive(path: Path, limits: Limits) -> Image | Video:
    """The picture or clip in a file, of which no more is read than is taken.

    Raises:
      UploadError: it cannot be read, or is not taken; the message is one line that names it.
    """
    try:
        with path.open("rb") as file:
            encoded = file.read(limits.bytes + 1)
            if len(encoded) > limits.bytes:
                size, most = (round(count / 1e6, 1) for count in (path.stat().st_size, limits.bytes))
                raise UploadError(f"{path.name} has {size:g} MB: at most {most:g} MB are taken")
    except OSError as error:
        raise UploadError(f"{path.name} cannot be read: {error.strerror or error}") from error
    return check_upload(path.name, encoded, limits)
