"""What is wrong with a shard, apart from what is wrong with the machine that reads it."""

import errno
import gzip
import lzma
import struct
import zipfile
import zlib

import pyarrow as pa

# What the readers of compressed and columnar files raise on content that is not what it should be. pyarrow also raises
# bare OSErrors there; `explain` tells them from those of the machine.
ERRORS = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    OverflowError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)


class Damaged(ValueError):
    """A shard cannot be read further; `rule` names why, the message says where."""

    def __init__(self, rule: str, message: str):
        super().__init__(message)
        self.rule = rule


def explain(error: Exception) -> str:
    """Says what one of `ERRORS` means, if it is about content.

    Raises:
      OSError: the same error again, if it is the machine's (a missing file, a failing disk or network): another try may
        succeed, and a build that counted it as damage would lose data without a word.
    """
    if isinstance(error, OSError) and not _is_about_content(error):
        raise error
    return " ".join(f"{type(error).__name__}: {error}".split())[:160]


def _is_about_content(error: OSError) -> bool:
    """Whether a decoder raised it, or a seek to an impossible place that the content named."""
    return type(error) in (OSError, gzip.BadGzipFile) and error.errno in (None, errno.EINVAL)
