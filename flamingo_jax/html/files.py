"""Writing result files so that nobody ever meets half of one."""

import uuid

from etils import epath


def write_whole(path: epath.Path, content: str | bytes) -> None:
    """Writes `content`, text as UTF-8; the file appears, or replaces the one there, only when it is complete.

    Raises:
      OSError: it cannot be written. What was there before still is.
    """
    partial = path.parent / f".{path.name}.{uuid.uuid4().hex}.partial"
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
