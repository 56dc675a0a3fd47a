"""Small files of `torch.save` in both of its formats, and what is in them.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_torch_files.py

Writes `torch_zip.pt` (the format since torch 1.6), `torch_stream.pt` (the one before) and `torch_expected.npz`, which
holds each tensor under its dotted name; bfloat16 and float8, which numpy lacks, are there as their bits
(`<name>@bfloat16`). A third file, `torch_module.pt`, pickles a whole module: a reader of weights must refuse it.
"""

import collections
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent


def build() -> dict:
    """One of each thing that a training checkpoint may hold."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    shared = normal(4, 3)
    weights = collections.OrderedDict(
        {
            "plain.weight": normal(3, 5),
            "transposed.weight": normal(5, 2).T,
            "channels_last.weight": normal(2, 3, 4, 4).to(memory_format=torch.channels_last),
            "expanded": normal(1, 3).expand(4, 3),
            "sliced": normal(10)[3:9:2],
            "parameter": torch.nn.Parameter(normal(2, 2)),
            "half": normal(3).half(),
            "bf16": normal(4, 2).bfloat16(),
            "double": normal(2).double(),
            "int64": torch.tensor([-1, 2**40]),
            "int32": torch.tensor([7, -8], dtype=torch.int32),
            "uint8": torch.arange(5, dtype=torch.uint8),
            "bool": torch.tensor([True, False, True]),
            "scalar": torch.tensor(2.5),
            "empty": torch.zeros(0, 3),
            "tied.a": shared,
            "tied.b": shared,
            "tied.row": shared[1],
            "complex": torch.complex(normal(2), normal(2)),
            "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
            "float8": normal(6).to(torch.float8_e4m3fn),
        }
    )
    weights._metadata = collections.OrderedDict({"": {"version": 1}})  # as nn.Module.state_dict() has it
    return {
        "epoch": 3,
        "note": "naïve",
        "state_dict": weights,
        "optimizer": {"state": {0: {"m": normal(2), "step": 10}}},
    }


def main() -> None:
    """Writes the files and their contents."""
    tree = build()
    torch.save(tree, HERE / "torch_zip.pt")
    torch.save(tree, HERE / "torch_stream.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), HERE / "torch_module.pt")
    expected = {}
    named = {f"state_dict.{name}": tensor.detach() for name, tensor in tree["state_dict"].items()}
    for name, tensor in {**named, "optimizer.state.0.m": tree["optimizer"]["state"][0]["m"]}.items():
        kind = str(tensor.dtype).removeprefix("torch.")
        if kind == "bfloat16":
            expected[f"{name}@{kind}"] = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
        elif kind == "float8_e4m3fn":
            expected[f"{name}@{kind}"] = tensor.contiguous().view(torch.uint8).numpy()
        else:
            expected[name] = tensor.contiguous().numpy()
    np.savez_compressed(HERE / "torch_expected.npz", **expected)


if __name__ == "__main__":
    main()
