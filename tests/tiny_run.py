"""A whole run in small: random "pretrained" weights under the peers' names, a tokenizer, datasets and a gin file."""

import dataclasses
import json
from pathlib import Path

import numpy as np
from etils import epath
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from data_pipelines import convert, embedded_web
from data_pipelines.m3w.command import main as build_m3w
from flamingo_jax import config as config_lib
from flamingo_jax.inference.session import Session
from flamingo_jax.interop.canonical import flatten_shapes
from flamingo_jax.interop.language import llama
from flamingo_jax.interop.vision import efficientnet
from flamingo_jax.interop.weight_map import Rule
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.checkpoints import Checkpoints
from flamingo_jax.training.design import Design
from flamingo_jax.training.position import Position
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.setup import Setup, set_up
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny

LANGUAGE = dataclasses.replace(tiny.LANGUAGE, vocab_size=258)
SETTINGS = embedded_web.Settings(seed=0, pages=14, pairs=16, clips=4)

GIN = """
from __gin__ import dynamic_registration
from flamingo_jax.data import interleaved
from flamingo_jax.data import mixture
from flamingo_jax.data import pairs
from flamingo_jax.interop import pretrained
from flamingo_jax.models import flamingo
from flamingo_jax.models import gated_cross_attention
from flamingo_jax.models import resampler
from flamingo_jax.models.language import decoder_config
from flamingo_jax.models.vision import efficientnet
from flamingo_jax.training import checkpoints
from flamingo_jax.training import optimizer
from flamingo_jax.training import run

run.RunConfig.model = @flamingo.FlamingoConfig()
flamingo.FlamingoConfig.language = @decoder_config.DecoderConfig()
flamingo.FlamingoConfig.vision = @efficientnet.EfficientNetLiteConfig()
flamingo.FlamingoConfig.resampler = @resampler.PerceiverResamplerConfig()
flamingo.FlamingoConfig.cross_attention = @gated_cross_attention.GatedCrossAttentionConfig()
flamingo.FlamingoConfig.cross_attention_every = 2
decoder_config.DecoderConfig.vocab_size = 258
decoder_config.DecoderConfig.width = 32
decoder_config.DecoderConfig.num_layers = 5
decoder_config.DecoderConfig.num_heads = 4
decoder_config.DecoderConfig.num_kv_heads = 2
decoder_config.DecoderConfig.head_dim = 8
decoder_config.DecoderConfig.hidden_width = 48
efficientnet.EfficientNetLiteConfig.stem_width = 8
efficientnet.EfficientNetLiteConfig.groups = (@one/efficientnet.BlockGroup(), @two/efficientnet.BlockGroup())
efficientnet.EfficientNetLiteConfig.head_width = 16
one/efficientnet.BlockGroup.repeats = 1
one/efficientnet.BlockGroup.kernel = 3
one/efficientnet.BlockGroup.stride = 1
one/efficientnet.BlockGroup.expand = 1
one/efficientnet.BlockGroup.width = 8
two/efficientnet.BlockGroup.repeats = 2
two/efficientnet.BlockGroup.kernel = 3
two/efficientnet.BlockGroup.stride = 2
two/efficientnet.BlockGroup.expand = 2
two/efficientnet.BlockGroup.width = 12
resampler.PerceiverResamplerConfig.width = 24
resampler.PerceiverResamplerConfig.num_latents = 4
resampler.PerceiverResamplerConfig.num_layers = 2
resampler.PerceiverResamplerConfig.num_heads = 2
resampler.PerceiverResamplerConfig.head_dim = 8
gated_cross_attention.GatedCrossAttentionConfig.num_heads = 4
gated_cross_attention.GatedCrossAttentionConfig.head_dim = 8
gated_cross_attention.GatedCrossAttentionConfig.gate_init = 0.5

run.RunConfig.pretrained = @pretrained.PretrainedConfig()
pretrained.PretrainedConfig.language = "{root}/language.safetensors"
pretrained.PretrainedConfig.vision = "{root}/vision.safetensors"
pretrained.PretrainedConfig.tokenizer = "{root}/tokenizer.json"
pretrained.PretrainedConfig.frozen_dtype = "float32"

run.RunConfig.mixture = @mixture.MixtureConfig()
mixture.MixtureConfig.datasets = (
    ("m3w", @interleaved.InterleavedConfig()),
    ("pairs", @pairs.PairsConfig()),
    ("clips", @pairs.VideoConfig()),
)
interleaved.InterleavedConfig.path = "{root}/corpus/m3w"
interleaved.InterleavedConfig.batch_size = 2
interleaved.InterleavedConfig.length = 48
interleaved.InterleavedConfig.max_images = 2
interleaved.InterleavedConfig.image_size = 32
pairs.PairsConfig.path = "{root}/corpus/pairs"
pairs.PairsConfig.batch_size = 4
pairs.PairsConfig.length = 40
pairs.PairsConfig.image_size = 32
pairs.VideoConfig.path = "{root}/corpus/clips"
pairs.VideoConfig.batch_size = 2
pairs.VideoConfig.length = 40
pairs.VideoConfig.image_size = 32
pairs.VideoConfig.num_frames = 3

run.RunConfig.optimizer = @optimizer.OptimizerConfig()
optimizer.OptimizerConfig.learning_rate = 3e-3
optimizer.OptimizerConfig.warmup_steps = 2
optimizer.OptimizerConfig.policies = {{
    "resampler": @resampler/optimizer.Policy(),
    "cross_attention": @optimizer.Policy(),
    "new_tokens": @optimizer.Policy(),
}}
resampler/optimizer.Policy.weight_decay = 0.0

run.RunConfig.steps = 40
run.RunConfig.log_every = 1
run.RunConfig.checkpoints = @checkpoints.CheckpointConfig()
checkpoints.CheckpointConfig.every = 2
"""


def write(root: Path) -> Path:
    """Writes everything below `root`; returns the gin file."""
    _write_weights(root)
    _write_tokenizer(root)
    embedded_web.generate(root / "web", SETTINGS, progress=False)
    out = ["--output", str(root / "corpus"), "--validation_fraction", "0.3"]
    build_m3w(["--input", str(root / "web/site"), *out])
    convert.main(["pairs", "--input", str(root / "web/pairs"), *out])
    convert.main(["clips", "--input", str(root / "web/clips/clips.json"), *out])
    gin_file = root / "tiny.gin"
    gin_file.write_text(GIN.format(root=root))
    return gin_file


def write_pairs_only(path: Path, *more: str) -> Path:
    """Writes the gin file alone, with `more` lines and no dataset but the pairs: for a step that is not run."""
    unused = ("interleaved.Interleaved", "pairs.VideoConfig", '    ("m3w"', '    ("clips"')
    lines = [line for line in GIN.format(root="/nowhere").splitlines() if not line.startswith(unused)]
    path.write_text("\n".join([*lines, *more]))
    return path


def save_first(workdir: Path, config: RunConfig) -> Setup:
    """Sets a run up and writes what its folder holds before the first update: its configuration and a checkpoint."""
    setup = set_up(Design.make(config))
    with Checkpoints(epath.Path(workdir), config.checkpoints) as checkpoints:
        checkpoints.save(setup.start(), Position(), config_lib.to_json(config), setup.fingerprint, {})
    (workdir / "config.json").write_text(config_lib.to_json(config))
    return setup


def seeing_session(workdir: Path, config: RunConfig, rows: int) -> Session:
    """The first checkpoint of a run, to ask, with weights at which pictures matter."""
    save_first(workdir, config)
    opened = Session.open(workdir)
    return dataclasses.replace(opened, params=tiny.init(opened.model), rows=rows)


def _write_weights(root: Path) -> None:
    """Random tensors in the layouts that the weight maps read."""
    rng = np.random.default_rng(0)
    config = tiny.config(language=LANGUAGE)
    stacked = {path: leaf.shape for path, leaf in flat_shapes(abstract_params(Flamingo(config))).items()}
    shapes = flatten_shapes(stacked, config.plan)

    def tensor(rule: Rule) -> np.ndarray:
        shape = rule.layout.their_shape([shapes[name] for name in rule.ours])
        if rule.ours[0].endswith(("scale", "variance")):
            return rng.uniform(0.8, 1.2, shape).astype(np.float32)
        return rng.normal(0, 0.1, shape).astype(np.float32)

    maps = {
        "language": llama.weight_map(LANGUAGE).under("language_model/"),
        "vision": efficientnet.weight_map(config.vision).under("vision_encoder/"),
    }
    for name, weights in maps.items():
        save_file({rule.theirs: tensor(rule) for rule in weights.rules}, root / f"{name}.safetensors")


def _write_tokenizer(root: Path) -> None:
    """One token a byte, and the two ends."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: index for index, letter in enumerate(letters)}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s>", "</s>"])
    (root / "tokenizer.json").write_text(backend.to_str())
    (root / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
