"""NFNets as DeepMind published them, in Haiku's names: F0_haiku.npz to F6_haiku.npz (see `files.haiku_pickle`).

Names are Haiku's module and parameter names joined by "/". They follow from `nfnets/nfnet.py` of deepmind-research.
"""

import itertools
import re
from collections.abc import Container, Mapping

from flamingo_jax.interop.layouts import Plain, Shape
from flamingo_jax.interop.vision.nfnet_rules import NFNetNames, derive, rules
from flamingo_jax.interop.vision.vit_rules import find_prefix
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.vision.nfnet import NFNetConfig

NAMES = NFNetNames(
    scheme="DeepMind",
    stem=("stem_conv0", "stem_conv1", "stem_conv2", "stem_conv3"),
    final="final_conv",
    skip_gain="/skip_gain",
    shortcut="/~/conv_shortcut",
    reduce="/~/conv0",
    grouped=("/~/conv1", "/~/conv1b"),
    expand="/~/conv2",
    squeeze="/~/squeeze_excite/~/linear",
    excite="/~/squeeze_excite/~/linear_1",
    convolution=(("/w", "kernel", Plain()), ("/gain", "gain", Plain()), ("/bias", "bias", Plain())),
    dense=(("/w", "kernel", Plain()), ("/b", "bias", Plain())),
)
PREFIXES = ("NFNet/~/", "params/NFNet/~/")  # the second where parameters stand beside a training state
_MARK = "stem_conv0/gain"


def weight_map(config: NFNetConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands.

    Args:
      config: of the encoder.
      names: the tensors of the file, to find their prefix. Without any, as in the published files.
    """
    prefix = find_prefix(names, _MARK, PREFIXES)
    blocks = [_block(index) for index in range(len(config.blocks))]
    head = Drop(re.escape(prefix) + "linear/(w|b)", "classifies the pooled features: the model takes them all")
    return WeightMap(rules(config, NAMES, blocks, prefix), (head,))


def from_tensors(shapes: Mapping[str, Shape], recipe: str = "") -> NFNetConfig:
    """The config of the encoder whose tensors have these shapes; arguments and errors as `nfnet_timm.from_tensors`.

    Without a recipe, it computes as DeepMind's code does.
    """
    prefix = find_prefix(shapes, _MARK, PREFIXES)
    found = itertools.takewhile(lambda name: prefix + name + NAMES.skip_gain in shapes, map(_block, itertools.count()))
    return derive(shapes, NAMES, list(found), prefix, recipe or "deepmind")


def _block(index: int) -> str:
    """Haiku numbers modules of one name from the second on."""
    return f"nf_block_{index}" if index else "nf_block"
