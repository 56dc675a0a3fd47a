"""Model FLOPs against the definition, worked out by hand from the configuration."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax import config as config_lib
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.freezing import FROZEN, PAPER_RULES, label
from flamingo_jax.training.model_flops import encoder_flops, model_flops
from flamingo_jax.training.params import count_by_module, module_of
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny

ROWS, LENGTH, IMAGES, FRAMES = 2, 12, 3, 2
TOKENS = ROWS * LENGTH
BATCH = {"m3w": tiny.random_batch(rows=ROWS, length=LENGTH, images=IMAGES, frames=FRAMES)}


@functools.cache
def plain():
    return model_flops(tiny.CONFIG, labelled(tiny.CONFIG), BATCH)


def labelled(config, rules=PAPER_RULES):
    return label(flat_shapes(abstract_params(Flamingo(config))), rules)


def layer_weights(config) -> int:
    """Of one layer's matrix products."""
    heads = 2 * config.width * config.num_heads * config.head_dim
    heads += 2 * config.width * config.num_kv_heads * config.head_dim
    return heads + (3 if config.gated_dense else 2) * config.width * config.hidden_width


def test_the_tiny_model_by_hand():
    config = tiny.CONFIG
    language, block, resampler = config.language, config.cross_attention, config.resampler
    found = plain()

    frozen = language.num_layers * layer_weights(language) + language.vocab_size * language.width
    new = config.num_new_tokens * language.width
    assert found.modules["language_model"] == TOKENS * (4 * frozen + 6 * new)

    # Queries, outputs and the dense branch see tokens; keys and values the latents of all images.
    inner, hidden = block.num_heads * block.head_dim, block.hidden_width(language.width)
    visual = ROWS * IMAGES * resampler.num_latents
    tokens = TOKENS * (2 * language.width * inner + 2 * language.width * hidden)
    assert found.modules["language_model/gated_cross_attention"] == (
        6 * config.plan.num_blocks * (tokens + visual * 2 * language.width * inner)
    )
    assert found.modules["visual_projection"] == 6 * visual * resampler.width * language.width

    # A map of 32 pixels is 8 x 8 features here; latents attend to features and latents.
    images, width = ROWS * IMAGES, resampler.width
    features = images * FRAMES * _positions(config)
    inner = resampler.num_heads * resampler.head_dim
    layer = visual * (2 * width * inner + 2 * width * width * resampler.hidden_multiplier)
    layer += (features + visual) * 2 * width * inner
    expected = features * config.vision.output_width * width + resampler.num_layers * layer
    assert found.modules["resampler"] == 6 * expected
    assert found.shared == 0


def _positions(config) -> int:
    module = config.vision.make(jnp.float32)
    image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.uint8)
    return jax.eval_shape(lambda image: module.init_with_output(jax.random.key(0), image)[0], image).shape[1]


def test_the_encoder_counts_forward_only_unless_it_trains():
    config = tiny.CONFIG
    params = nn.meta.unbox(abstract_params(Flamingo(config)))["vision_encoder"]
    once = ROWS * IMAGES * FRAMES * encoder_flops(config, params, (32, 32, 3))
    assert plain().modules["vision_encoder"] == once
    rules = ((r"vision_encoder/.*", "resampler"), *PAPER_RULES[1:])
    assert model_flops(config, labelled(config, rules), BATCH).modules["vision_encoder"] == 3 * once


def test_how_the_step_is_computed_does_not_change_the_work():
    changed = dataclasses.replace(tiny.CONFIG, remat="full", dtype="bfloat16", attention="splash")
    assert model_flops(changed, labelled(changed), BATCH) == plain()


def test_layers_that_no_gradient_passes_count_once():
    """Blocks from layer 2 on, and no new tokens: the two bare layers at the bottom lie below all that trains."""
    config = dataclasses.replace(
        tiny.CONFIG, cross_attention_first=2, cross_attention_every=3, num_new_tokens=0, end_of_chunk=-1
    )
    rules = tuple(rule for rule in PAPER_RULES if "new_" not in rule[0])
    language = config.language
    found = model_flops(config, labelled(config, rules), BATCH)
    above = (language.num_layers - 2) * layer_weights(language) + language.vocab_size * language.width
    assert found.modules["language_model"] == TOKENS * (2 * 2 * layer_weights(language) + 4 * above)


def test_relative_positions_count_for_each_token_and_are_told_apart():
    language = dataclasses.replace(tiny.LANGUAGE, positions="relative", num_kv_heads=tiny.LANGUAGE.num_heads)
    config = dataclasses.replace(tiny.CONFIG, language=language)
    found = model_flops(config, labelled(config), BATCH)
    keys = language.num_layers * language.width * language.num_heads * language.head_dim
    assert found.shared == 4 * TOKENS * keys
    rest = language.num_layers * layer_weights(language) + language.vocab_size * language.width
    new = config.num_new_tokens * language.width
    assert found.modules["language_model"] == found.shared + TOKENS * (4 * rest + 6 * new)


def test_text_alone_asks_nothing_of_the_encoder():
    batch = {"text": {**BATCH["m3w"], "images": np.zeros((ROWS, 0, 1, 1, 1, 3), np.uint8)}}
    batch["text"]["frame_mask"] = np.zeros((ROWS, 0, 1), bool)
    found = model_flops(tiny.CONFIG, labelled(tiny.CONFIG), batch)
    assert "vision_encoder" not in found.modules and "resampler" not in found.modules


def test_the_papers_model_by_its_parameter_counts():
    files = ["gin/models/flamingo_80b.gin", "gin/data/paper.gin", "gin/optim/adamw.gin"]
    run = config_lib.resolve(RunConfig, files, [])
    config, shapes = run.model, flat_shapes(abstract_params(Flamingo(run.model)))
    labels = label(shapes, run.freezing)
    rows, length, images, latents = 4, 16, 5, config.resampler.num_latents
    tokens = rows * length
    batch = {"m3w": tiny.random_batch(rows=rows, length=length, images=images, frames=1, pixels=320)}
    found = model_flops(config, labels, batch)

    language = sum(
        leaf.size
        for path, leaf in shapes.items()
        if module_of(path) == "language_model" and path.endswith(("kernel", "embedding")) and labels[path] == FROZEN
    )
    new = count_by_module(shapes, labels)["language_model"].trainable
    assert found.modules["language_model"] == tokens * (4 * language + 6 * new)
    assert found.modules["language_model"] == pytest.approx(4 * 70.06e9 * tokens, rel=1e-3)  # the paper's table 1
    media = 2 * config.plan.num_blocks * config.language.width**2  # keys and values
    blocks = 6 * ((9.664e9 - media) * tokens + media * rows * images * latents)
    assert found.modules["language_model/gated_cross_attention"] == pytest.approx(blocks, rel=1e-3)
    # GFLOP an image of 320 pixels; XLA's analysis of the compiled NFNet-F6 gives 230, as it leaves padding out.
    assert found.modules["vision_encoder"] == pytest.approx(rows * images * 233.1e9, rel=1e-3)
