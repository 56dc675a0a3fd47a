"""Writing result files so that nobody ever meets half of one."""

import uuid
from collections.abc import Iterable

from etils import epath


def write_whole(path: epath.Path, content: str | bytes | Iterable[bytes]) -> None:
    """Writes `content`, text as UTF-8; the file appears, or replaces the one there, only when it is complete.

    Args:
      content: or parts of it, one after the other, which are not held together.

    Raises:
      OSError: it cannot be written. What was there before still is.
    """
    partial = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
    content = content.encode() if isinstance(content, str) else content
    try:
        with partial.open("wb") as file:
            for part in [content] if isinstance(content, bytes) else content:
                file.write(part)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
