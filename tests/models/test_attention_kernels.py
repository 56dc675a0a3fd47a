"""The kernels against the reference, forward and backward, in Pallas' interpreter; and what is left to XLA."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.experimental import pallas as pl

from flamingo_jax.inference.prefill import extend, prefill
from flamingo_jax.models import attention_kernels
from flamingo_jax.models.attention import attention
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.language.plan import LayerPlan
from flamingo_jax.models.language.positions import alibi_slopes
from flamingo_jax.models.masks import Mask, causal_mask, image_causal_mask
from tests import tiny
from tests.inference import families

FAST_TO_COMPILE = {"xla_backend_optimization_level": 0}
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def interpreted():
    """Pallas' interpreter runs the kernels; the one of TPU programs does not know how to batch them."""
    call = pl.pallas_call
    jax.clear_caches()  # of kernels that other tests traced for TPUs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl, "pallas_call", lambda *given, **options: call(*given, **options | {"interpret": True}))
        patch.setattr(attention_kernels, "_LARGEST_BLOCK", 128)  # so that short rows are of several
        yield
    jax.clear_caches()


def packed(length: int) -> Mask:
    """Two rows: three documents and padding; one document."""
    row = np.repeat([1, 2, 3, 0], [length // 4, length // 2, length // 8, length // 8])
    return causal_mask(np.stack([row, np.ones(length, int)]).astype(np.int32))


def one_image(length: int, images: int = 5, latents: int = 64, ranges: bool = False) -> Mask:
    """Two rows: images after one another; a later image first and then none, as with the paper's p_next = 1."""
    index = np.stack([np.sort(RNG.integers(0, images + 1, length)), np.repeat([images, 0], length // 2)])
    first = np.minimum(index, 1) if ranges else None
    return image_causal_mask(index.astype(np.int32), images, latents, None if first is None else first.astype(np.int32))


def alibi(heads: int, length: int):
    return -(alibi_slopes(heads, 8.0)[:, None, None] * (np.arange(length)[:, None] - np.arange(length)))[None]


CASES = {
    "documents": {"mask": packed(256), "heads": (4, 2), "head_dim": 80},
    "an image a token": {"mask": one_image(256), "heads": (2, 2), "head_dim": 128},
    "a pair's image": {"mask": one_image(32, images=1), "heads": (2, 1), "head_dim": 192},
}
FLASH = {
    "images so far": {"mask": one_image(64, images=3, ranges=True), "heads": (2, 2), "head_dim": 64},
    "distance": {"mask": packed(32), "heads": (4, 2), "head_dim": 64, "bias": alibi(4, 32)},
}


def agree(kernel: str, mask: Mask, heads: tuple[int, int], head_dim: int, bias=None, softcap: float = 0.0):
    batch, _, length, keys = mask.shape
    shapes = (length, heads[0]), (keys, heads[1]), (keys, heads[1]), (length, heads[0])
    *given, weight = (RNG.normal(size=(batch, *shape, head_dim)).astype(np.float32) for shape in shapes)
    assert attention_kernels.can(kernel, mask, bias is not None, softcap)

    def run(kernel):
        def loss(query, key, value, bias):
            out = attention(query, key, value, mask, bias, 0.3, softcap, kernel)
            return jnp.sum(out * weight), out

        wanted = (0, 1, 2) if bias is None else (0, 1, 2, 3)
        program = jax.jit(jax.value_and_grad(loss, wanted, has_aux=True), compiler_options=FAST_TO_COMPILE)
        (_, out), gradients = program(*given, bias)
        return out, *gradients

    expected = run("xla")
    found = run(kernel)
    for name, ours, theirs in zip(("out", "query", "key", "value", "bias"), found, expected, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5, err_msg=name)
    blind = ~np.any(mask.dense(), axis=-1)[:, 0]
    assert blind.any()  # padding, or a token without an image
    assert (np.asarray(found[0])[blind] == 0).all() and (np.asarray(found[1])[blind] == 0).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kernel", ["flash", "splash"])
def test_kernels_agree_with_the_reference(interpreted, kernel, case):
    agree(kernel, **CASES[case])


@pytest.mark.parametrize("case", FLASH)
def test_flash_takes_what_is_no_segment_as_a_bias(interpreted, case):
    agree("flash", **FLASH[case])


def test_splash_takes_windows_and_caps(interpreted):
    agree("splash", packed(160).within(7), heads=(2, 1), head_dim=64, softcap=2.0)


def test_a_decoder_is_the_same_with_a_kernel(interpreted, monkeypatch):
    mask, media = packed(16), RNG.normal(size=(2, 8, 32)).astype(np.float32)
    seen = image_causal_mask(np.repeat([[0, 1, 2, 2], [1, 0, 0, 2]], 4, axis=1).astype(np.int32), 2, 4)
    context = Context(np.broadcast_to(np.arange(16), (2, 16)), mask, 0, media, seen)
    tokens, real = RNG.integers(0, 61, (2, 16)), mask.query_segments > 0
    config = DecoderConfig(61, 32, 4, 4, 2, 8, 48)
    called, run = set(), attention_kernels.run
    monkeypatch.setattr(attention_kernels, "run", lambda *call: (called.add((call[0], call[4].causal)), run(*call))[1])

    def decoder(kernel):
        block = GatedCrossAttentionConfig(4, 8, gate_init=0.5)
        return Decoder(config, LayerPlan.make(4, 2), block, remat="attention", attention=kernel)

    shapes = nn.meta.unbox(jax.eval_shape(decoder("xla").init, jax.random.key(0), tokens, context))["params"]
    params = jax.tree.map(lambda leaf: 0.3 + RNG.normal(0, 0.3, leaf.shape).astype(np.float32), shapes)

    def outcome(kernel):
        def loss(params):
            return jnp.mean(
                jnp.where(real[..., None], decoder(kernel).apply({"params": params}, tokens, context)[0], 0) ** 2
            )

        return jax.tree.leaves(jax.jit(jax.value_and_grad(loss), compiler_options=FAST_TO_COMPILE)(params))

    expected = outcome("xla")
    assert not called
    found = outcome("flash")
    assert called == {("flash", True), ("flash", False)}  # in layers and in blocks
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 + 1e-4 * np.abs(theirs).max())


def test_prompts_go_through_a_kernel_and_what_follows_them_through_xla(interpreted, monkeypatch):
    called, run = set(), attention_kernels.run
    monkeypatch.setattr(attention_kernels, "run", lambda *call: (called.add((call[0], call[4].causal)), run(*call))[1])
    model = families.family("rotary")
    params, batch = families.parameters(model), families.prompts(tiny.CONFIG)
    tokens = np.arange(6, dtype=np.int32).reshape(6, 1)

    def outcome(kernel, expected):
        chosen = model.clone(config=dataclasses.replace(model.config, attention=kernel))
        first = jax.jit(lambda *given: prefill(chosen, *given), compiler_options=FAST_TO_COMPILE)
        after = jax.jit(lambda *given: extend(chosen, *given)[0], compiler_options=FAST_TO_COMPILE)
        logits, prefix = first(params, batch)
        assert called == expected
        called.clear()
        following = after(params, prefix, tokens)
        assert not called
        return logits, following

    expected = outcome("xla", set())
    found = outcome("flash", {("flash", True), ("flash", False)})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_what_a_kernel_cannot_do_is_left_to_xla():
    own, ranges, cached = packed(64), one_image(64, ranges=True), causal_mask(np.ones((2, 1)), np.ones((2, 64)), 3)
    no_images = image_causal_mask(np.zeros((2, 64), np.int32), 0, 64)
    one_window, windows = own.within(7), own.within(jnp.asarray(7))
    cases = {  # mask, bias, cap: the kernels that do it
        "documents": (own, False, 0.0, {"cudnn", "flash", "splash"}),
        "a range": (ranges, False, 0.0, {"cudnn", "flash"}),
        "a window": (one_window, False, 0.0, {"cudnn", "flash", "splash"}),
        "windows": (windows, False, 0.0, {"cudnn", "flash"}),
        "bias": (own, True, 0.0, {"cudnn", "flash"}),
        "cap": (own, False, 50.0, {"splash"}),
        "cache": (cached, False, 0.0, set()),
        "longer cache": (causal_mask(np.ones((2, 8)), np.ones((2, 64))), False, 0.0, set()),
        "no images": (no_images, False, 0.0, set()),
    }
    for name, (mask, bias, softcap, kernels) in cases.items():
        able = {kernel for kernel in attention_kernels.KERNELS if attention_kernels.can(kernel, mask, bias, softcap)}
        assert able == kernels, name


@pytest.mark.parametrize(
    ("kernel", "language", "message"),
    [
        ("triton", {}, "must be one of 'xla', 'cudnn', 'flash', 'splash', got 'triton'"),
        ("cudnn", {}, "computes in 16 bits, and FlamingoConfig.dtype is 'float32': set 'bfloat16'"),
        ("flash", {"attention_softcap": 50.0}, "cannot cap scores (DecoderConfig.attention_softcap): set 'splash'"),
        ("splash", {"positions": "alibi"}, "cannot add to scores, as DecoderConfig.positions = 'alibi' does"),
    ],
)
def test_a_kernel_that_could_do_no_layer_is_refused(kernel, language, message):
    language = dataclasses.replace(tiny.LANGUAGE, **language)
    with pytest.raises(ValueError, match=re.escape(message)):
        tiny.config(attention=kernel, language=language)


def test_cudnn_is_called_for_gpus(monkeypatch):
    """Nothing here runs it; what it is given passes JAX's checks, forward and backward."""
    cudnn = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91200)

    def loss(query, key, value, bias):
        mask = causal_mask(np.ones(query.shape[:2], np.int32))
        return jnp.sum(attention(query, key, value, mask, bias, kernel="cudnn").astype(jnp.float32))

    query, key = (jax.ShapeDtypeStruct((2, 33, heads, 20), jnp.bfloat16) for heads in (4, 2))
    for bias in (None, jax.ShapeDtypeStruct((1, 4, 33, 33), jnp.float32)):
        traced = jax.jit(jax.grad(loss, (0, 1, 2))).trace(query, key, key, bias)
        text = traced.lower(lowering_platforms=("cuda",)).as_text()
        calls = set(re.findall(r"@(__cudnn[$\w]+)", text))
        assert calls == {"__cudnn$fmhaScaleBiasSoftmax", "__cudnn$fmhaScaleBiasSoftmaxBackward"}
