"""Weight maps of Vision Transformers from a table of names: what every naming scheme of them has in common."""

import dataclasses
from collections.abc import Container, Iterable, Iterator

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Convolution, Flat, Joined, Layout, Linear, Plain, Single
from flamingo_jax.interop.weight_map import Rule
from flamingo_jax.models.vision.vit import ViTConfig

PLAIN, CONVOLUTION = Plain(), Convolution()
# Parts of a config that not every scheme has names for, each with the name that it needs.
_PARTS = (
    ("class_token", "class_token"),
    ("num_registers", "register_tokens"),
    ("pre_norm", "pre_norm"),
    ("layer_scale", "attention_scale"),
    ("gated_dense", "gate_up"),
)


@dataclasses.dataclass(frozen=True)
class ViTNames:
    """What a scheme calls its tensors. A module's tensors are its name with `.weight` and `.bias` after it.

    Attributes:
      scheme: what to call such files in a message.
      patch, pre_norm, post_norm: modules; empty where the scheme has none.
      class_token, register_tokens, position_embedding: tensors; empty where the scheme has none.
      layer: what a layer's names begin with, `{}` for its number.
      attention_norm, output, dense_norm, up, down: modules of a layer.
      query_key_value: three modules of a layer, or one in which the three stand one after the other.
      gate_up, gated_down: modules of a layer whose dense branch is gated; gate and up stand one after the other.
      attention_scale, dense_scale: tensors of a layer.
      patch_layout, class_layout, table_layout: of the patch kernel, of the class token, of registers and positions.
      fused_dot: what stands between the one query_key_value module and `weight` or `bias`.
    """

    scheme: str
    patch: str
    position_embedding: str
    layer: str
    attention_norm: str
    query_key_value: tuple[str, ...]
    output: str
    dense_norm: str
    up: str
    down: str
    post_norm: str
    pre_norm: str = ""
    class_token: str = ""
    register_tokens: str = ""
    gate_up: str = ""
    gated_down: str = ""
    attention_scale: str = ""
    dense_scale: str = ""
    patch_layout: Single = CONVOLUTION
    class_layout: Single = PLAIN
    table_layout: Single = PLAIN
    fused_dot: str = "."


def find_prefix(names: Container[str], mark: str, prefixes: Iterable[str]) -> str:
    """The prefix under which a file has the tensor `mark`; the first of `prefixes` if it has it under none."""
    first, *others = prefixes
    return next((prefix for prefix in (first, *others) if prefix + mark in names), first)


def rules(config: ViTConfig, names: ViTNames, prefix: str = "") -> tuple[Rule, ...]:
    """Where each parameter of `ViT(config)` stands in a file whose names begin with `prefix`.

    Raises:
      WeightsError: the config has parts that the scheme has no names for (registers in a CLIP file).
    """
    lacking = [part for part, name in _PARTS if getattr(config, part) and not getattr(names, name)]
    if lacking:
        raise WeightsError(
            f"{names.scheme} files have no place for {', '.join(lacking)} of the ViTConfig: take the config that "
            "`encoders.from_hf` or `encoders.from_tensors` derives for the file, or another file format"
        )
    found = [*_embeddings(config, names)]
    for index in range(config.num_layers):
        theirs, ours = names.layer.format(index), f"layers/{index}/"
        found += [
            Rule(theirs + rule.theirs, tuple(ours + name for name in rule.ours), rule.layout)
            for rule in _layer(config, names)
        ]
    return tuple(rule._replace(theirs=prefix + rule.theirs) for rule in found)


def _embeddings(config: ViTConfig, names: ViTNames) -> Iterator[Rule]:
    yield Rule(f"{names.patch}.weight", ("patch/kernel",), names.patch_layout)
    if config.patch_bias:
        yield Rule(f"{names.patch}.bias", ("patch/bias",), PLAIN)
    yield Rule(names.position_embedding, ("position_embedding",), names.table_layout)
    if config.class_token:
        yield Rule(names.class_token, ("class_token",), names.class_layout)
    if config.num_registers:
        yield Rule(names.register_tokens, ("register_tokens",), names.table_layout)
    if config.pre_norm:
        yield from _norm(names.pre_norm, "pre_norm")
    if config.post_norm:
        yield from _norm(names.post_norm, "post_norm")


def _layer(config: ViTConfig, names: ViTNames) -> Iterator[Rule]:
    yield from _norm(names.attention_norm, "attention_norm")
    yield from _norm(names.dense_norm, "dense_norm")
    parts = ("query", "key", "value")
    if len(names.query_key_value) == 1:
        yield from _linear(names.query_key_value[0] + names.fused_dot, parts, Joined(Linear()), Joined(Flat()))
    else:
        for theirs, ours in zip(names.query_key_value, parts, strict=True):
            yield from _linear(f"{theirs}.", (ours,), Linear(), Flat())
    yield from _linear(f"{names.output}.", ("output",), Linear(contracted=2), PLAIN)
    if config.gated_dense:
        yield from _linear(f"{names.gate_up}.", ("gate", "up"), Joined(Linear()), Joined(PLAIN))
        yield from _linear(f"{names.gated_down}.", ("down",), Linear(), PLAIN)
    else:
        yield from _linear(f"{names.up}.", ("up",), Linear(), PLAIN)
        yield from _linear(f"{names.down}.", ("down",), Linear(), PLAIN)
    if config.layer_scale:
        yield Rule(names.attention_scale, ("attention_scale",), PLAIN)
        yield Rule(names.dense_scale, ("dense_scale",), PLAIN)


def _norm(theirs: str, ours: str) -> Iterator[Rule]:
    yield Rule(f"{theirs}.weight", (f"{ours}/scale",), PLAIN)
    yield Rule(f"{theirs}.bias", (f"{ours}/bias",), PLAIN)


def _linear(theirs: str, ours: tuple[str, ...], kernel: Layout, bias: Layout) -> Iterator[Rule]:
    yield Rule(f"{theirs}weight", tuple(f"{name}/kernel" for name in ours), kernel)
    yield Rule(f"{theirs}bias", tuple(f"{name}/bias" for name in ours), bias)
