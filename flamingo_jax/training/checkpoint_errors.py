"""What goes wrong with checkpoints, and what the storage libraries say about it in one line."""

import re

import jax

# What TensorStore says first when it is not the data that are wrong.
_PASSING = re.compile(
    r"(UNAVAILABLE|PERMISSION_DENIED|UNAUTHENTICATED|RESOURCE_EXHAUSTED|DEADLINE_EXCEEDED|ABORTED|CANCELLED)\b"
)


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or may not be used; the message says why and what to do."""


class DamagedError(CheckpointError):
    """A checkpoint is not what was saved."""


def cause_of(error: BaseException) -> str:
    """The innermost message, on one line: Orbax wraps what the file system said several times."""
    while inner := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = inner
    # TensorStore begins with what it was doing, ends with what the system said, and may append its whole specification.
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    line = re.sub(r" \[\w+(\[\d+\])?='.*", "", line).strip().rstrip(".")
    if len(line) > 300:
        line = f"{line[:130]} ... {line[-160:]}"
    return f"{type(error).__name__} {line}".strip() if isinstance(error, KeyError) or not line else line


def is_damage(error: BaseException) -> bool:
    """Whether an error while reading tells of wrong data, and not of a disk, a store, a network or memory."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    missing = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
    return not any(
        isinstance(each, MemoryError | jax.errors.JaxRuntimeError)
        or (isinstance(each, OSError) and not isinstance(each, missing))
        or _PASSING.match(str(each))
        for each in chain
    )
