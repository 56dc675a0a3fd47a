"""A tokenizer with one token a byte, and mixtures of documents that tests make up."""

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from flamingo_jax.data.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def bytes_tokenizer() -> Tokenizer:
    """Token n is the n-th letter of the byte-level alphabet; then the two ends, and `<EOC>` as token 258."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({letter: index for index, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s>", "</s>"])
    return Tokenizer(backend, bos_id=256, eos_id=257)
