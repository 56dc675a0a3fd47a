"""EfficientNet-lite from the PyTorch port's state dict (`_conv_stem`, `_blocks.0._depthwise_conv`, ...)."""

from collections.abc import Container, Iterator

from flamingo_jax.interop.layouts import Convolution, Plain
from flamingo_jax.interop.weight_map import Drop, Rule, WeightMap
from flamingo_jax.models.vision.efficientnet import EfficientNetLiteConfig

_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}


def weight_map(config: EfficientNetLiteConfig, names: Container[str] = ()) -> WeightMap:
    """Where each parameter stands; `names` are the file's tensors, which all such files call the same."""
    del names
    drops = (
        Drop(r"_fc\.(weight|bias)", "the classifier: the model takes the features before it"),
        Drop(r".*\.num_batches_tracked", "a counter of the training: no weights"),
    )
    return WeightMap(tuple(_rules(config)), drops)


def _rules(config: EfficientNetLiteConfig) -> Iterator[Rule]:
    yield from _conv_norm("stem", "_conv_stem", "_bn0")
    blocks = [group for group in config.groups for _ in range(group.repeats)]
    for index, group in enumerate(blocks):
        theirs, ours = f"_blocks.{index}", f"block_{index}"
        if group.expand != 1:
            yield from _conv_norm(f"{ours}/expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        yield from _conv_norm(f"{ours}/depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        yield from _conv_norm(f"{ours}/project", f"{theirs}._project_conv", f"{theirs}._bn2")
    yield from _conv_norm("head", "_conv_head", "_bn1")


def _conv_norm(ours: str, conv: str, norm: str) -> Iterator[Rule]:
    yield Rule(f"{conv}.weight", (f"{ours}/kernel",), Convolution())
    for name, theirs in _NORM.items():
        yield Rule(f"{norm}.{theirs}", (f"{ours}/{name}",), Plain())
