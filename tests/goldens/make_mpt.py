"""Golden logits of tiny random MPT models, from transformers.

Environment: `tests/goldens/requirements.txt`. Command, from the repository root:

    goldenenv/bin/python tests/goldens/make_mpt.py

Writes `mpt.npz` with the variants `alibi` (as MPT-7B), `clipped` (3 heads, and queries, keys and values clipped) and
`mosaic_gpt`; see `make_llama_like.py` for what is in it. `mosaic_gpt` is the older form of MPT-1B-RedPajama, which
transformers does not have: its own names and config, a layer norm over all heads of queries and keys after the clipping
(here put around the fused projection), an ALiBi maximum (which transformers reads and ignores), and the rest as in MPT.
"""

import itertools

import torch
import transformers
from language_golden import VOCAB_SIZE, draw, golden, inputs, logits, saved, variant, write
from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

WIDTH = 24
ALIBI_MAX = 4
# From MPT's names to MosaicGPT's.
OLDER = {"norm_": "ln_", "ffn.up_proj": "mlp.mlp_up", "ffn.down_proj": "mlp.mlp_down"}


def model(num_heads: int, **attention) -> transformers.MptForCausalLM:
    config = transformers.MptConfig(
        vocab_size=VOCAB_SIZE,
        d_model=WIDTH,
        n_heads=num_heads,
        n_layers=2,
        max_seq_len=64,
        layer_norm_epsilon=1e-2 if num_heads == 3 else 1e-5,
        attn_config=attention,
        attn_implementation="eager",
    )
    return transformers.MptForCausalLM(config)


class NormedProjection(torch.nn.Module):
    """A fused qkv projection whose output is clipped and whose queries and keys are then normed."""

    def __init__(self, projection: torch.nn.Linear, clip: float):
        super().__init__()
        self.projection, self.clip = projection, clip
        self.q_ln = torch.nn.LayerNorm(WIDTH, bias=False)
        self.k_ln = torch.nn.LayerNorm(WIDTH, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        query, key, value = self.projection(states).clamp(-self.clip, self.clip).chunk(3, dim=-1)
        return torch.cat([self.q_ln(query), self.k_ln(key), value], dim=-1)


def mosaic_gpt() -> dict:
    """The older form: weights under its names, and its config."""
    peer = model(4).float().eval()
    draw(peer, 0)
    config, weights = saved(peer)
    seen, extra = [logits(peer, *inputs())], {}
    peer.transformer.build_mpt_alibi_tensor = lambda heads, length, **place: build_mpt_alibi_tensor(
        heads, length, alibi_bias_max=ALIBI_MAX, **place
    )
    seen.append(logits(peer, *inputs()))
    for layer, block in enumerate(peer.transformer.blocks):
        block.attn.Wqkv = NormedProjection(block.attn.Wqkv, clip=1.0)
        for name in ("q_ln", "k_ln"):
            norm = getattr(block.attn.Wqkv, name)
            draw(torch.nn.ModuleDict({"norm": norm}), seed=layer + 2 * (name == "k_ln"))
            extra[f"transformer.blocks.{layer}.attn.{name}.weight"] = norm.weight.detach().numpy()
    seen.append(logits(peer, *inputs()))
    assert all(abs(a - b).max() > 1e-2 * abs(a).max() for a, b in itertools.pairwise(seen))
    for new, old in OLDER.items():
        weights = {name.replace(new, old): tensor for name, tensor in weights.items()}
    settings = {key: config[key] for key in ("vocab_size", "d_model", "n_heads", "n_layers", "max_seq_len")}
    settings |= {"model_type": "mosaic_gpt", "mlp_ratio": 4, "no_bias": True, "low_precision_layernorm": True}
    settings |= {"alibi": True, "alibi_bias_max": ALIBI_MAX}
    settings |= {"attn_qk_ln": True, "attn_clip_qkv": 1.0, "softmax_scale": None}
    return variant(settings, weights | extra, seen[-1])


def main() -> None:
    """Makes the file."""
    alibi = golden(model(4), matters={"attn_config": {"softmax_scale": 1.0}})
    three = golden(model(3, clip_qkv=1.0), matters={"attn_config": {"clip_qkv": None}})
    write("mpt", {"alibi": alibi, "clipped": three, "mosaic_gpt": mosaic_gpt()})


if __name__ == "__main__":
    main()
