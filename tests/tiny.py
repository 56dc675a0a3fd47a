"""A Flamingo small enough for tests, and batches of random pages for it."""

import dataclasses
import functools

import jax
import numpy as np
from flax import linen as nn

from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.gated_cross_attention import GatedCrossAttentionConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.resampler import PerceiverResamplerConfig
from flamingo_jax.models.vision.efficientnet import BlockGroup, EfficientNetLiteConfig
from flamingo_jax.training.state import abstract_params

VISION = EfficientNetLiteConfig(8, (BlockGroup(1, 3, 1, 1, 8), BlockGroup(2, 3, 2, 2, 12)), 16)
LANGUAGE = DecoderConfig(61, 32, 5, 4, 2, 8, 48, max_length=64)
CONFIG = FlamingoConfig(
    LANGUAGE,
    VISION,
    PerceiverResamplerConfig(24, 4, 2, num_heads=2, head_dim=8, max_frames=3),
    GatedCrossAttentionConfig(4, 8, gate_init=0.5),
    cross_attention_every=2,
)


def config(**changes) -> FlamingoConfig:
    """The tiny model's config with some fields changed."""
    return dataclasses.replace(CONFIG, **changes)


def random_batch(seed: int = 0, rows: int = 2, length: int = 12, images: int = 3, frames: int = 2, pixels: int = 32):
    """Random pages: every row starts without an image and then passes through some; one clip is a frame short."""
    rng = np.random.default_rng(seed)
    index = np.sort(rng.integers(0, images + 1, (rows, length)), axis=1)
    index[:, 0] = 0
    frame_mask = np.ones((rows, images, frames), bool)
    frame_mask[0, 0, 1:] = False
    loss_mask = np.ones((rows, length), bool)
    loss_mask[:, 0] = False
    return {
        "tokens": rng.integers(0, LANGUAGE.vocab_size + 1, (rows, length)).astype(np.int32),
        "segment_ids": np.ones((rows, length), np.int32),
        "positions": np.broadcast_to(np.arange(length, dtype=np.int32), (rows, length)).copy(),
        "image_index": index.astype(np.int32),
        "loss_mask": loss_mask,
        "images": rng.integers(0, 256, (rows, images, frames, pixels, pixels, 3)).astype(np.uint8),
        "frame_mask": frame_mask,
        "skipped": np.zeros(rows, np.int32),
    }


def inputs(batch: dict) -> dict:
    """The part of a batch that the model reads."""
    return {name: value for name, value in batch.items() if name not in ("loss_mask", "skipped")}


def init(model: Flamingo, seed: int = 0) -> dict:
    """Random parameters, spread enough that every branch matters; drawn by NumPy, which has nothing to compile."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name, fan_in = path[-1].key, max(1, leaf.size // leaf.shape[-1]) if leaf.ndim else 1
        centre = 1.0 if name in ("scale", "variance") else 0.5 if name.endswith("_gate") else 0.0
        spread = 0.1 if leaf.ndim < 2 or centre else fan_in**-0.25
        return (centre + spread * rng.uniform(-1, 1, leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, nn.meta.unbox(abstract_params(model)))


@functools.cache
def forward(model: Flamingo):
    """The compiled forward pass of `model`, shared by the tests."""
    return jax.jit(model.apply)


@functools.cache
def vision_size(vision) -> int:
    """Parameters of an encoder."""
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), np.uint8)
    shapes = jax.eval_shape(vision.make("float32").init, jax.random.key(0), images)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
