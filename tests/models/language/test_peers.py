"""Every family of language models against transformers on tiny random weights, from config.json to logits."""

import numpy as np
import pytest

from tests.language_goldens import CASES, error, forward, golden, parameters, stacked


@pytest.fixture(scope="module", params=CASES)
def model(request):
    """The golden, its config, and our variables."""
    found = golden(request.param)
    config = found.config
    return found, config, stacked(config, parameters(config, found.weights, found.tensors))


def test_logits_of_the_peer(model):
    """Without padding, and with padding on either side; what stands at padding is nobody's business."""
    found, config, variables = model
    paddings, batch, length = found.masks.shape
    tokens = np.tile(found.tokens, (paddings, 1))
    logits = forward(config)(variables, tokens, found.masks.reshape(-1, length))
    assert np.isfinite(logits).all()
    logits = logits.reshape(paddings, batch, length, -1) * found.masks[..., None]
    for padding, peer in zip(logits, found.logits, strict=True):
        assert (
            error(padding, peer) < 2e-5
        )  # the exact GELU in place of its tanh form, or the reverse, moves them by 1e-4


def test_packing_does_not_leak(model):
    """Two texts packed into one row, with padding after them, give the logits that each has in a row of its own."""
    found, config, variables = model
    tokens = np.tile(found.tokens, (3, 1))
    packed = np.array([*found.tokens[0, :6], *found.tokens[1, :5], 0])
    tokens[2], segments = packed, np.ones_like(tokens)
    segments[2] = [1] * 6 + [2] * 5 + [0]
    logits = forward(config)(variables, tokens, segments)
    assert error(logits[2, :6], logits[0, :6]) < 1e-5
    assert error(logits[2, 6:11], logits[1, :5]) < 1e-5
