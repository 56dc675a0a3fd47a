"""The whole model: closed gates, the image-causal mask end to end, frames, and the paper's parameter counts."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionBlock, GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.masks import causal_mask
from flamingo_jax.models.resampler import PerceiverResampler, PerceiverResamplerConfig
from tests import tiny


def text_only(params: dict, plan: LayerPlan) -> dict:
    """The language model's own parameters in the layout of a plan without blocks."""
    language = params["language_model"]
    stacks = [language[part] for part in ("head",) if part in language]
    if "groups" in language:
        stacks.append(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), language["groups"]["layers"]))
    stacks += [language["tail"]["layers"]] if "tail" in language else []
    layers = jax.tree.map(lambda *parts: np.concatenate(parts), *stacks)
    parts = ("head", "groups", "tail", "graft", "new_rows", "new_output_rows")
    return {"head": layers} | {name: leaf for name, leaf in language.items() if name not in parts}


@pytest.mark.parametrize(("every", "first"), [(1, 0), (2, 0), (5, 0), (2, 1), (3, 1), (4, 3)])
def test_closed_gates_give_the_language_model_bit_for_bit(every, first):
    config = tiny.config(cross_attention_every=every, cross_attention_first=first)
    model, batch = Flamingo(config), tiny.random_batch()
    params = tiny.init(model)
    closed = jax.tree_util.tree_map_with_path(lambda path, x: x * 0 if "_gate" in str(path[-1]) else x, params)
    batch["tokens"] = np.minimum(batch["tokens"], config.language.vocab_size - 1)
    seen = tiny.forward(model)({"params": closed}, **tiny.inputs(batch))

    language = Decoder(config.language, LayerPlan(config.language.num_layers))
    context = Context(batch["positions"], causal_mask(batch["segment_ids"]))
    plain, _ = jax.jit(language.apply)({"params": text_only(params, config.plan)}, batch["tokens"], context)
    np.testing.assert_array_equal(seen[..., : config.language.vocab_size], plain)
    opened = tiny.forward(model)({"params": params}, **tiny.inputs(batch))
    assert np.abs(opened[..., : config.language.vocab_size] - plain).max() > 1e-3


def test_variants_of_the_block():
    """Gates a channel, no gates, no dense branch, and grafted layers: what is there, and that it acts."""
    batch = tiny.random_batch()

    def outcome(every=2, graft=0, **changes):
        block = dataclasses.replace(tiny.CONFIG.cross_attention, **changes)
        model = Flamingo(tiny.config(cross_attention=block, cross_attention_every=every, grafted_layers=graft))
        params = tiny.init(model)
        return params["language_model"], tiny.forward(model)({"params": params}, **tiny.inputs(batch))

    params, plain = outcome()
    assert params["groups"]["gated_cross_attention"]["dense_gate"].shape == (2,)
    params, vector = outcome(gate_per_channel=True)
    assert params["groups"]["gated_cross_attention"]["dense_gate"].shape == (2, 32)
    params, ungated = outcome(gate="none")
    assert not any("_gate" in name for name in params["groups"]["gated_cross_attention"])
    params, vanilla = outcome(dense=False)
    assert not any("dense" in name for name in params["groups"]["gated_cross_attention"])
    params, grafted = outcome(every=0, graft=2)
    assert params["graft"]["layers"]["query"]["kernel"].shape == (2, 1, 32, 4, 8)
    assert params["graft"]["gated_cross_attention"]["query"]["kernel"].shape == (2, 32, 4, 8)
    results = [np.asarray(result) for result in (plain, vector, ungated, vanilla, grafted)]
    for place, result in enumerate(results):
        assert np.isfinite(result).all()
        assert all(np.abs(result - other).max() > 1e-3 for other in results[:place])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"gate": "sigmoid"}, "gate is 'tanh' or 'none'"), ({"norm": "batch"}, "norm is"), ({"activation": "x"}, "known")],
)
def test_unknown_choices_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        GatedCrossAttentionConfig(2, **changes)


def test_only_tokens_that_see_an_image_depend_on_it():
    model, batch = Flamingo(tiny.CONFIG), tiny.random_batch(rows=1)
    batch["image_index"] = np.array([[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]], np.int32)
    params = {"params": tiny.init(model)}
    before = np.asarray(tiny.forward(model)(params, **tiny.inputs(batch)))
    for image, first in ((0, 3), (1, 6), (2, 9)):
        changed = batch | {"images": batch["images"].copy()}
        changed["images"][:, image] = 255 - changed["images"][:, image]
        moved = np.abs(np.asarray(tiny.forward(model)(params, **tiny.inputs(changed))) - before).max(axis=(0, 2)) > 1e-6
        # Later tokens see it through self-attention; earlier ones must not.
        assert not moved[:first].any()
        assert moved[first]


def test_rows_without_images_are_read_without_the_vision_side():
    """Its parameters are not even there, and the logits are those of rows that have images and see none."""
    model, batch = Flamingo(tiny.CONFIG), tiny.random_batch()
    batch["image_index"][:] = 0
    params = tiny.init(model)
    blind = tiny.forward(model)({"params": params}, **tiny.inputs(batch))
    batch |= {"images": np.zeros((2, 0, 1, 1, 1, 3), np.uint8), "frame_mask": np.zeros((2, 0, 1), bool)}
    language = {"params": {"language_model": params["language_model"]}}
    np.testing.assert_allclose(tiny.forward(model)(language, **tiny.inputs(batch)), blind, rtol=1e-5, atol=1e-5)

    def loss(params):
        return model.apply({"params": params}, **tiny.inputs(batch)).sum()

    gradients = jax.eval_shape(jax.grad(loss), params)
    assert jax.tree.map(lambda leaf: leaf.shape, gradients) == jax.tree.map(lambda leaf: leaf.shape, params)


def test_masked_frames_are_not_looked_at():
    model, batch = Flamingo(tiny.CONFIG), tiny.random_batch()
    params = {"params": tiny.init(model)}
    before = tiny.forward(model)(params, **tiny.inputs(batch))
    batch["images"][0, 0, 1] = 0
    np.testing.assert_array_equal(before, tiny.forward(model)(params, **tiny.inputs(batch)))
    batch["images"][0, 1, 1] = 0
    assert np.abs(before - tiny.forward(model)(params, **tiny.inputs(batch))).max() > 1e-6


def test_new_token_has_its_own_row():
    model, batch = Flamingo(tiny.CONFIG), tiny.random_batch()
    batch["tokens"][:] = 60
    params = tiny.init(model)
    before = tiny.forward(model)({"params": params}, **tiny.inputs(batch))
    assert before.shape[-1] == tiny.LANGUAGE.vocab_size + 1
    params["language_model"]["new_rows"] = params["language_model"]["new_rows"] + 1
    after = tiny.forward(model)({"params": params}, **tiny.inputs(batch))
    np.testing.assert_array_equal(before[..., :-1], after[..., :-1])  # nobody read the row, its logit alone moved
    assert np.abs(before[..., -1] - after[..., -1]).min() > 0
    batch["tokens"][0, 3] = 61
    read = tiny.forward(model)({"params": params}, **tiny.inputs(batch))
    assert np.abs(read[0, 3:] - after[0, 3:]).max() > 1e-3
    np.testing.assert_array_equal(read[0, :3], after[0, :3])


@pytest.mark.parametrize(
    ("layers", "every", "first", "expected"),
    [
        (80, 7, 0, (0, 11, 7, 3, 12)),  # the paper's 80B
        (32, 4, 0, (0, 8, 4, 0, 8)),  # its 9B
        (24, 1, 0, (0, 24, 1, 0, 24)),  # its 3B
        (32, 4, 3, (3, 7, 4, 1, 8)),  # OpenFlamingo 9B
        (6, 0, 0, (6, 0, 0, 0, 0)),
    ],
)
def test_layer_plan(layers, every, first, expected):
    plan = LayerPlan.make(layers, every, first)
    assert (plan.head, plan.groups, plan.every, plan.tail, plan.num_blocks) == expected
    assert plan.num_layers == layers
    order = np.arange(layers)
    parts = plan.group(order)
    groups = [parts[name]["layers"].ravel() for name in ("groups", "tail") if name in parts]
    np.testing.assert_array_equal(np.concatenate([parts.get("head", order[:0]), *groups]), order)


def count(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nn.meta.unbox(tree)))


def test_parameter_counts_of_the_paper():
    """Resampler 193.6M; cross-attention 12 D^2 a block: 1.208B, 1.611B and 9.66B (derived from the paper's tables)."""
    resampler = PerceiverResampler(PerceiverResamplerConfig())
    features, mask = jax.ShapeDtypeStruct((1, 8, 100, 3072), "float32"), jax.ShapeDtypeStruct((1, 8), "bool")
    shapes = jax.eval_shape(resampler.init, jax.random.key(0), features, mask)
    assert abs(count(shapes) / 193.6e6 - 1) < 1e-3
    for width, heads, blocks, total in ((2048, 16, 24, 1.208e9), (4096, 32, 8, 1.611e9), (8192, 64, 12, 9.664e9)):
        block = GatedCrossAttentionBlock(GatedCrossAttentionConfig(heads))
        text, media = (jax.ShapeDtypeStruct((1, length, width), "float32") for length in (4, 64))
        shapes = jax.eval_shape(block.init, jax.random.key(0), text, media, jax.ShapeDtypeStruct((1, 1, 4, 64), "bool"))
        assert abs(blocks * count(shapes) / total - 1) < 1e-3


def test_more_frames_than_trained_interpolate():
    config = dataclasses.replace(tiny.CONFIG.resampler, max_frames=3)
    resampler = PerceiverResampler(config)
    features = np.random.default_rng(0).normal(size=(1, 5, 4, 16)).astype(np.float32)
    params = jax.jit(resampler.init)(jax.random.key(0), features, np.ones((1, 5), bool))
    table = np.asarray(nn.meta.unbox(params)["params"]["time_embedding"])
    stretched = np.stack([np.interp([0, 0.5, 1, 1.5, 2], [0, 1, 2], column) for column in table.T], axis=1)
    wide = PerceiverResampler(dataclasses.replace(config, max_frames=5))
    wide_params = {"params": nn.meta.unbox(params)["params"] | {"time_embedding": stretched.astype(np.float32)}}
    mask = np.ones((1, 5), bool)
    np.testing.assert_allclose(
        resampler.apply(params, features, mask), wide.apply(wide_params, features, mask), rtol=1e-5, atol=1e-6
    )
