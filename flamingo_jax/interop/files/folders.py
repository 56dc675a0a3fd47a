"""Which file of a model's folder holds the weights."""

from etils import epath

from flamingo_jax.interop.files.tensors import WeightsError

# As Hugging Face's libraries and open_clip write them, the best first: an index means that there are shards.
_NAMES = (
    "model.safetensors.index.json",
    "model.safetensors",
    "open_clip_model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
    "checkpoint.pt",
)
_SUFFIXES = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".npz", ".onnx")


def weight_file(path: epath.Path) -> epath.Path:
    """`path` if it is a file; otherwise the file in that folder that holds the weights, or the index of its shards.

    Raises:
      WeightsError: the folder has none, or several that nothing tells apart.
    """
    if not path.is_dir():
        return path
    for name in _NAMES:
        if (path / name).exists():
            return path / name
    found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(file.name for file in found[:4])
        raise WeightsError(f"{path} holds several files of weights and no index ({listed}, ...): name one of them")
    raise WeightsError(
        f"{path} holds no weights: there is neither {', '.join(_NAMES)} nor one {' or '.join(_SUFFIXES)}"
    )
