"""Golden outputs of OpenFlamingo's Perceiver Resampler and gated cross-attention block, tiny and random.

Environment: `tests/goldens/requirements.txt` (with the `--no-deps` line). Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_openflamingo_blocks.py

Writes `openflamingo_blocks.npz`, float32 throughout, weights under the peer's names in torch layout [out, in]:

- `resampler/...`: dim 16, depth 2, 2 heads of 8, 4 latents, no time embeddings; `resampler/in` [2, 3, 1, 5, 16] (batch,
  images, frames, visual tokens, dim) and `resampler/out` [2, 3, 4, 16].
- `resampler_frames/...`: the same with 4 frame embeddings of which 3 are used; in [2, 2, 3, 5, 16], out [2, 2, 4, 16].
- `xattn/...`: dim 24, dim_visual 16, 2 heads of 8, gates 0.7 and -0.4; `xattn/x` [2, 10, 24], `xattn/media`
  [2, 3, 4, 16], `xattn/media_locations` bool [2, 10] (row 0 has text before its first image, row 1 starts with one and
  uses two of its three images), `xattn/out` [2, 10, 24]. A token sees only the last image at or before it; where there
  is none the attention branch is 0 and the feed-forward branch still acts.
"""

import importlib.util
import pathlib

import numpy as np
import torch

HERE = pathlib.Path(__file__).parent


def load_helpers():
    """The peer's module, loaded past its package `__init__`, which wants more than these blocks need."""
    package = importlib.util.find_spec("open_flamingo").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("helpers", pathlib.Path(package) / "src" / "helpers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def randomize(module: torch.nn.Module) -> None:
    """Draws norms around 1 (biases around 0) and the rest wide enough that attention is far from uniform."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.dim() == 1 and name.endswith("weight"):
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.3)


def collect(prefix: str, module: torch.nn.Module) -> dict[str, np.ndarray]:
    """The module's parameters as `prefix/name`."""
    return {f"{prefix}/{name}": parameter.detach().numpy() for name, parameter in module.named_parameters()}


def main() -> None:
    """Runs the blocks and writes the golden."""
    helpers = load_helpers()
    torch.manual_seed(0)
    arrays: dict[str, np.ndarray] = {}
    for prefix, frames, shape in (("resampler", None, (2, 3, 1, 5, 16)), ("resampler_frames", 4, (2, 2, 3, 5, 16))):
        resampler = helpers.PerceiverResampler(
            dim=16, depth=2, dim_head=8, heads=2, num_latents=4, max_num_frames=frames
        )
        randomize(resampler)
        x = torch.randn(shape)
        with torch.no_grad():
            out = resampler(x)
        arrays |= collect(prefix, resampler) | {f"{prefix}/in": x.numpy(), f"{prefix}/out": out.numpy()}

    block = helpers.GatedCrossAttentionBlock(dim=24, dim_visual=16, dim_head=8, heads=2)
    randomize(block)
    with torch.no_grad():
        block.attn_gate.fill_(0.7)
        block.ff_gate.fill_(-0.4)
    x, media = torch.randn(2, 10, 24), torch.randn(2, 3, 4, 16)
    locations = torch.zeros(2, 10, dtype=torch.bool)
    locations[0, [2, 5, 8]] = True
    locations[1, [0, 4]] = True
    with torch.no_grad():
        out = block(x, media, media_locations=locations)
    arrays |= collect("xattn", block)
    arrays |= {"xattn/x": x.numpy(), "xattn/media": media.numpy()}
    arrays |= {"xattn/media_locations": locations.numpy(), "xattn/out": out.numpy()}
    np.savez_compressed(HERE / "openflamingo_blocks.npz", **arrays)


if __name__ == "__main__":
    main()
