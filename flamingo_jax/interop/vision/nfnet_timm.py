"""NFNets as timm names them: dm_nfnet_f0 to dm_nfnet_f6, DeepMind's weights."""

import itertools
import re
from collections.abc import Container, Mapping

from flamingo_jax.interop.layouts import Convolution, Linear, Plain, Shape, Trailed
from flamingo_jax.interop.vision.nfnet_rules import NFNetNames, derive, rules
from flamingo_jax.interop.vision.vit_rules import find_prefix
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.nfnet import NFNetConfig

NAMES = NFNetNames(
    scheme="timm (dm_nfnet)",
    stem=("stem.conv1", "stem.conv2", "stem.conv3", "stem.conv4"),
    final="final_conv",
    skip_gain=".skipinit_gain",
    shortcut=".downsample.conv",
    reduce=".conv1",
    grouped=(".conv2", ".conv2b"),
    expand=".conv3",
    squeeze=".attn_last.fc1",
    excite=".attn_last.fc2",
    convolution=(
        (".weight", "kernel", Convolution()),
        (".gain", "gain", Trailed(Plain(), 3)),
        (".bias", "bias", Plain()),
    ),
    dense=((".weight", "kernel", Trailed(Linear(), 2)), (".bias", "bias", Plain())),
)
PREFIXES = ("", "state_dict.")  # the second in the checkpoints of timm's training
_MARK = "stem.conv1.gain"


def weight_map(config: NFNetConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands.

    Args:
      config: of the encoder.
      names: the tensors of the file, to find their prefix. Without any, as timm's models have them.
    """
    prefix = find_prefix(names, _MARK, PREFIXES)
    blocks = [f"stages.{stage}.{index}" for stage, depth in enumerate(config.depths) for index in range(depth)]
    head = Drop(
        re.escape(prefix) + r"head\.fc\.(weight|bias)", "classifies the pooled features: the model takes them all"
    )
    return WeightMap(rules(config, NAMES, blocks, prefix), (head,))


def from_tensors(shapes: Mapping[str, Shape], recipe: str = "") -> NFNetConfig:
    """The config of the encoder whose tensors have these shapes.

    Args:
      shapes: of every tensor of the file.
      recipe: "timm" (and without one): compute as timm does; "deepmind": as those did who trained the weights.

    Raises:
      WeightsError: a tensor is missing, with its name (timm's own `nfnet_*`, which have no learned skip gains, are not
        of this family); or the recipe is unknown.
    """
    prefix = find_prefix(shapes, _MARK, PREFIXES)
    blocks = []
    for stage in itertools.count():
        found = itertools.takewhile(
            lambda name: f"{prefix}{name}.conv1.gain" in shapes,
            (f"stages.{stage}.{index}" for index in itertools.count()),
        )
        if not (stage_blocks := list(found)):
            break
        blocks += stage_blocks
    return derive(shapes, NAMES, blocks, prefix, recipe or "timm")
