"""What a decoder-only language model is made of; every family is a choice of these fields."""

import dataclasses

from flamingo_jax.models.layers import NORMS, activation

POSITIONS = ("rotary", "learned", "alibi", "relative")
QK_NORMS = ("", "head", "width")
ROTARY_SCALINGS = ("", "linear", "llama3")


def _one_of(config, name: str, known: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise ValueError(f"{type(config).__name__}.{name} must be one of {listed}, got {value!r}")


@dataclasses.dataclass(frozen=True)
class RotaryScaling:
    """How rotary frequencies were stretched to a longer context.

    Attributes:
      kind: "" (not at all); "linear": all frequencies divided by `factor` (Gemma 3); "llama3": only the slow ones, with
        a ramp between `low_frequency_factor` and `high_frequency_factor` turns within `original_length` (Llama 3.1).
    """

    kind: str = ""
    factor: float = 1.0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    original_length: int = 8192

    def __post_init__(self):
        _one_of(self, "kind", ROTARY_SCALINGS)


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
    """A pre-norm decoder. The defaults are Llama's; the remarks say which families differ.

    Attributes:
      vocab_size: rows of the pretrained embedding table (new tokens are not among them).
      width, num_layers, num_heads, num_kv_heads, head_dim, hidden_width: sizes.
      rope_theta: base of the rotary frequencies.
      norm_eps: of all norms.
      tied_embeddings: the output projection is the embedding table.
      activation: of the dense branch (of its gate, if it has one).
      max_length: the context it was trained with, in tokens; with learned positions, also their number.
      norm: "rms"; "rms_offset": its scale is 1 + the parameter (Gemma); "layer" (GPT-2, GPT-NeoX, OPT);
        "layer_no_bias" (MPT).
      post_norms: a norm after each branch as well, before it is added (Gemma 2 and 3).
      qk_norm: norm of queries and keys, before rotary positions: "" none; "head": over each head, RMS (Qwen3, Gemma 3);
        "width": over all heads together (MPT-1B).
      parallel_residual: attention and dense branch read the same states (Pythia).
      gated_dense: `down(act(gate(x)) * up(x))`; otherwise `down(act(up(x)))` (GPT-2, GPT-NeoX, OPT, MPT, Chinchilla).
      qkv_bias, output_bias, dense_bias: biases of the projections (Qwen2: qkv alone; GPT-2, GPT-NeoX, OPT: all).
      qkv_clip: queries, keys and values are clipped to +-this; 0 for no clipping (some MPT).
      positions: "rotary"; "learned": a table added to the embeddings (GPT-2, OPT); "alibi": a slope a head (MPT);
        "relative": Transformer-XL's (Chinchilla).
      position_offset: unused rows at the start of the learned table (OPT: 2).
      rotary_fraction: share of a head's channels that turn (GPT-NeoX: 0.25).
      rotary_scaling: see `RotaryScaling`; not applied in layers with a window.
      alibi_max: exponent of the smallest ALiBi slope, 2**-alibi_max.
      windows: how far back each layer sees, in tokens, itself included; 0: to the start. Repeated over the layers:
        `(4096,)` for Mistral 7B v0.1, `(4096, 0)` for Gemma 2, five windows and a 0 for Gemma 3. Empty: all 0.
      local_rope_theta: base in layers with a window; 0 for `rope_theta` (Gemma 3: 10,000).
      attention_scale: factor on the scores; 0 for `head_dim ** -0.5` (Gemma 2 and 3 choose others).
      attention_softcap, logit_softcap: `cap * tanh(x / cap)` on scores and on logits; 0 for none (Gemma 2: 50 and 30).
      embedding_scale: factor on the looked-up embeddings (Gemma: `width ** 0.5`).
    """

    vocab_size: int
    width: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    hidden_width: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied_embeddings: bool = True
    activation: str = "silu"
    max_length: int = 2048
    norm: str = "rms"
    post_norms: bool = False
    qk_norm: str = ""
    parallel_residual: bool = False
    gated_dense: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    dense_bias: bool = False
    qkv_clip: float = 0.0
    positions: str = "rotary"
    position_offset: int = 0
    rotary_fraction: float = 1.0
    rotary_scaling: RotaryScaling = RotaryScaling()
    alibi_max: float = 8.0
    windows: tuple[int, ...] = ()
    local_rope_theta: float = 0.0
    attention_scale: float = 0.0
    attention_softcap: float = 0.0
    logit_softcap: float = 0.0
    embedding_scale: float = 1.0

    def __post_init__(self):
        _one_of(self, "positions", POSITIONS)
        _one_of(self, "norm", tuple(NORMS))
        _one_of(self, "qk_norm", QK_NORMS)
        activation(self.activation)
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"DecoderConfig: {self.num_heads} heads cannot share {self.num_kv_heads} key-value heads")
        if self.positions == "relative" and self.num_heads != self.num_kv_heads:
            raise ValueError("DecoderConfig: relative positions need as many key-value heads as heads")
        if self.positions == "rotary" and self.rotary_width % 2:
            raise ValueError(f"DecoderConfig: rotary positions turn pairs of channels, not {self.rotary_width}")

    @property
    def rotary_width(self) -> int:
        """How many of a head's channels turn."""
        return int(self.head_dim * self.rotary_fraction)

    @property
    def layer_windows(self) -> tuple[int, ...]:
        """The window of each layer, 0 for none."""
        pattern = self.windows or (0,)
        return tuple(pattern[layer % len(pattern)] for layer in range(self.num_layers))
