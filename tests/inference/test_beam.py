"""Beam search against transformers on shared weights, against every continuation there is, and against greedy."""

import functools
import itertools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.inference.beam import make_beam
from flamingo_jax.inference.continuing import make_continuing
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.interop.language.families import family_of
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.language.decoder_config import DecoderConfig
from tests import language_goldens, tiny
from tests.inference.families import losses_of

GOLDEN = Path(__file__).parents[1] / "goldens" / "beam_search.npz"


def text_model(language: DecoderConfig) -> Flamingo:
    """A language model without blocks or new tokens."""
    return Flamingo(tiny.config(language=language, cross_attention_every=0, num_new_tokens=0, end_of_chunk=-1))


def text_prompts(tokens: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Prompts without images."""
    nothing = np.zeros_like(tokens)
    return {
        "tokens": tokens,
        "segment_ids": mask,
        "positions": np.maximum(np.cumsum(mask, axis=1) - 1, 0).astype(np.int32),
        "image_index": nothing,
        "image_first": nothing,
        "media": np.zeros((len(tokens), 0, 32), np.float32),
    }


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return dict(np.load(GOLDEN))


@pytest.fixture(scope="module")
def peer(golden):
    """The peer's language model and its parameters."""
    config = json.loads(str(golden["config"]))
    family = family_of(config)
    language = family.from_hf(config)
    tensors = {name.removeprefix("weights/"): x for name, x in golden.items() if name.startswith("weights/")}
    found = language_goldens.parameters(language, family.weight_map(language, tensors), tensors)
    return text_model(language), {"language_model": language_goldens.stacked(language, found)["params"]}


CASES = [name.removesuffix("/scores") for name in np.load(GOLDEN).files if name.endswith("/scores")]
"""Beams, length penalty, and what `early_stopping` was."""


@pytest.mark.parametrize("name", CASES)
def test_the_answers_are_those_of_transformers(golden, peer, name):
    model, params = peer
    beams, penalty, early = name.split("/")
    expected, penalty = golden[f"{name}/tokens"], float(penalty)
    new = expected.shape[1]
    decoding = Decoding("beam", new, beams=int(beams), length_penalty=penalty, patient=early == "never")
    search = jax.jit(make_beam(model, decoding, golden["stops"].tolist()))
    found = search(params, text_prompts(golden["tokens"], golden["mask"]))
    lengths = (expected >= 0).sum(axis=1)
    kept = np.arange(new) < lengths[:, None]
    np.testing.assert_array_equal(np.where(kept, found.tokens, -1), expected)
    np.testing.assert_allclose(found.log_likelihoods / lengths**penalty, golden[f"{name}/scores"], rtol=1e-4)
    stopped = np.isin(found.tokens, golden["stops"])
    assert (stopped | kept)[lengths < new].all()  # the stop token fills the rest


@functools.cache
def all_continuations(vocab: int, longest: int, stop: int) -> list[tuple[int, ...]]:
    """Every continuation of at most `longest` tokens: those that end with the stop, and the longest."""
    found = []
    for length in range(1, longest + 1):
        for tokens in itertools.product(range(vocab), repeat=length):
            if stop not in tokens[:-1] and (tokens[-1] == stop or length == longest):
                found.append(tokens)
    return found


# As many beams as there are unfinished continuations and finished ones at any length: where one token ends and one does
# not, or all end with the second token, three are enough.
@pytest.mark.parametrize(
    ("vocab", "longest", "beams", "penalty"),
    [(4, 4, 108, 0.0), (4, 4, 108, 1.0), (4, 4, 108, -1.0), (3, 2, 3, 0.0), (2, 6, 3, 0.0), (2, 6, 3, 1.0)],
)
def test_enough_beams_find_the_best_of_all_continuations(vocab, longest, beams, penalty):
    model, rows = (
        text_model(DecoderConfig(vocab, 16, 2, 2, 2, 8, 24, max_length=64)),
        all_continuations(vocab, longest, 1),
    )
    lengths = np.array([len(row) for row in rows])
    padded = np.array([row + (0,) * (longest - len(row)) for row in rows], np.int32)
    decoding = Decoding("beam", longest, beams=beams, length_penalty=penalty, patient=True)
    search = jax.jit(make_beam(model, decoding, [1]))
    weights, won = {"language_model": tiny.init(model)["language_model"]}, set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        params = jax.tree.map(lambda leaf: rng.permutation(leaf.ravel()).reshape(leaf.shape), weights)  # noqa: B023
        prompts = rng.integers(0, vocab, (2, 3)).astype(np.int32)
        found = search(params, text_prompts(prompts, np.ones_like(prompts)))
        for row, prompt in enumerate(prompts):
            tokens = np.concatenate([np.tile(prompt, (len(rows), 1)), padded], axis=1)
            losses = losses_of(model)(params, text_prompts(tokens, np.ones_like(tokens)))[:, len(prompt) :]
            totals = -np.where(np.arange(longest) < lengths[:, None], losses, 0).sum(axis=1)
            scores = totals / lengths**penalty
            best = int(np.argmax(scores))
            assert tuple(np.asarray(found.tokens[row])[: lengths[best]]) == rows[best]
            assert found.log_likelihoods[row] == pytest.approx(totals[best], abs=1e-4)
            won.add(rows[best])
    assert len({len(row) for row in won}) > 1


def test_one_beam_is_greedy(golden, peer):
    model, params = peer
    prompts = text_prompts(golden["tokens"], golden["mask"])
    beam = jax.jit(make_beam(model, Decoding("beam", 8, beams=1), [5]))(params, prompts)
    greedy = jax.jit(make_continuing(model, Decoding(max_new_tokens=8), [5]))(params, prompts)
    np.testing.assert_array_equal(beam.tokens, greedy.tokens)
    np.testing.assert_allclose(beam.log_likelihoods, greedy.log_likelihoods, rtol=1e-5)
