"""Weight maps and configs of NFNets from a table of names: what both naming schemes of them have in common."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Layout, Plain, Shape
from flamingo_jax.interop.weight_map import Rule
from flamingo_jax.models.vision.nfnet import NFNetConfig

# What no tensor tells: whose function the numbers are meant for. All public weights are DeepMind's, but timm computes
# them with the exact GELU and another epsilon.
RECIPES = {
    "deepmind": {"activation": "gelu_tanh", "variance_eps": 0.0, "variance_floor": 1e-4},
    "timm": {"activation": "gelu", "variance_eps": 1e-5, "variance_floor": 0.0},
}


@dataclasses.dataclass(frozen=True)
class NFNetNames:
    """What a scheme calls its tensors.

    Attributes:
      scheme: what to call such files in a message.
      stem, final: modules.
      skip_gain: what follows a block's name in the name of its skip gain.
      shortcut, reduce, grouped, expand, squeeze, excite: what follows it in those of its modules.
      convolution, dense: what follows a module's name in those of its tensors, our name and the layout of each.
    """

    scheme: str
    stem: tuple[str, ...]
    final: str
    skip_gain: str
    shortcut: str
    reduce: str
    grouped: tuple[str, str]
    expand: str
    squeeze: str
    excite: str
    convolution: tuple[tuple[str, str, Layout], ...]
    dense: tuple[tuple[str, str, Layout], ...]

    def kernel(self, convolution: str) -> str:
        """The tensor that holds the kernel of this module."""
        return convolution + next(suffix for suffix, ours, _ in self.convolution if ours == "kernel")

    def bias(self, module: str) -> str:
        """The tensor that holds the bias of this module, a convolution or dense."""
        tensors = self.dense if module.endswith((self.squeeze, self.excite)) else self.convolution
        return module + next(suffix for suffix, ours, _ in tensors if ours == "bias")


def rules(config: NFNetConfig, names: NFNetNames, blocks: Sequence[str], prefix: str = "") -> tuple[Rule, ...]:
    """Where each parameter of `NFNet(config)` stands in a file whose names begin with `prefix`.

    Args:
      config, names, prefix: the encoder and its file.
      blocks: the name of each block.
    """
    modules = [(theirs, f"stem_{index}", names.convolution) for index, theirs in enumerate(names.stem)]
    modules.append((names.final, "final", names.convolution))
    found = []
    for index, (block, theirs) in enumerate(zip(config.blocks, blocks, strict=True)):
        ours = f"block_{index}"
        found.append(Rule(theirs + names.skip_gain, (f"{ours}/skip_gain",), Plain()))
        if block.transition:
            modules.append((theirs + names.shortcut, f"{ours}/shortcut", names.convolution))
        modules += [
            (theirs + names.reduce, f"{ours}/reduce", names.convolution),
            (theirs + names.grouped[0], f"{ours}/grouped_0", names.convolution),
            (theirs + names.grouped[1], f"{ours}/grouped_1", names.convolution),
            (theirs + names.expand, f"{ours}/expand", names.convolution),
            (theirs + names.squeeze, f"{ours}/squeeze", names.dense),
            (theirs + names.excite, f"{ours}/excite", names.dense),
        ]
    found += itertools.chain.from_iterable(_module(*module) for module in modules)
    return tuple(rule._replace(theirs=prefix + rule.theirs) for rule in found)


def _module(theirs: str, ours: str, tensors: tuple[tuple[str, str, Layout], ...]) -> Iterator[Rule]:
    for suffix, name, layout in tensors:
        yield Rule(theirs + suffix, (f"{ours}/{name}",), layout)


def derive(
    shapes: Mapping[str, Shape], names: NFNetNames, blocks: Sequence[str], prefix: str, recipe: str
) -> NFNetConfig:
    """The config of the encoder whose tensors have these shapes.

    Args:
      shapes: of every tensor of the file.
      names, blocks, prefix: as in `rules`.
      recipe: a key of `RECIPES`.

    Raises:
      WeightsError: a tensor is missing, with its name; or the recipe is unknown.
    """
    if recipe not in RECIPES:
        raise WeightsError(f"unknown recipe {recipe!r} for an NFNet; known: {', '.join(RECIPES)}")

    def shape(name: str) -> Shape:
        if prefix + name not in shapes:
            raise WeightsError(f"no tensor {prefix + name}: these are not the tensors of an NFNet of {names.scheme}")
        return shapes[prefix + name]

    def width(module: str) -> int:
        return shape(names.bias(module))[0]

    if not blocks:
        raise WeightsError(f"no block among the tensors: they are not those of an NFNet of {names.scheme}")
    for block in blocks:
        shape(block + names.skip_gain)
    # A shortcut with a convolution begins a stage; the first block may have none if the stem is as wide.
    starts = [i for i, block in enumerate(blocks) if prefix + names.bias(block + names.shortcut) in shapes]
    starts = starts if starts[:1] == [0] else [0, *starts]
    widths = [width(block + names.expand) for block in blocks]
    bottlenecks = [width(block + names.reduce) for block in blocks]
    grouped = shape(names.kernel(blocks[0] + names.grouped[0]))  # 3 x 3 x group width x bottleneck, any order
    return NFNetConfig(
        depths=tuple(end - start for start, end in itertools.pairwise([*starts, len(blocks)])),
        widths=tuple(widths[start] for start in starts),
        stem_widths=tuple(width(module) for module in names.stem),
        bottleneck=max(inner / outer for inner, outer in zip(bottlenecks, widths, strict=True)),
        group_width=math.prod(grouped) // (9 * bottlenecks[0]),
        squeeze_ratio=width(blocks[0] + names.squeeze) / widths[0],
        final_ratio=width(names.final) / widths[-1],
        **RECIPES[recipe],
    )
