"""Which parameters a figure is of."""

import hashlib
from collections.abc import Iterable

from flamingo_jax.training.checksums import checksums
from flamingo_jax.training.state import Params


def parameters_digest(params: Params) -> str:
    """The same for equal parameters, wherever they lie: 16 hexadecimal digits."""
    return text_digest(f"{path} {value}" for path, value in sorted(checksums(params).items()))


def text_digest(texts: Iterable[str]) -> str:
    """Of texts and their order: 16 hexadecimal digits."""
    return hashlib.blake2b("\0".join(texts).encode(), digest_size=8).hexdigest()
