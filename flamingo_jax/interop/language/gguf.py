"""GGUF files of llama.cpp: names, and the config in their metadata. They are read, not written.

Two things are stored in llama.cpp's own way. Architecture `llama` (which Mistral and SmolLM2 have too) has the rows of
q and k permuted, so that rotary pairs are neighbours; the others have not. And Gemma's norms are stored as 1 + w, so a
Gemma read from GGUF is a decoder with `norm="rms"`: the same model, and no number changes on the way.
"""

import dataclasses
import math
from collections.abc import Container
from typing import Any

import numpy as np

from flamingo_jax.interop.files.tensors import TensorFile, WeightsError
from flamingo_jax.interop.language.naming import linear_layout
from flamingo_jax.interop.language.naming import weight_map as map_names
from flamingo_jax.interop.language.peer_config import scale_of, shortest_pattern
from flamingo_jax.interop.layouts import RotaryPairs, Single
from flamingo_jax.interop.weight_map import Drop, WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig, RotaryScaling
from flamingo_jax.models.language.positions import rotary_frequencies

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3")
_TABLES = {"embedding": "token_embd", "final_norm": "output_norm", "output_embedding": "output"}
_MODULES = {
    "attention_norm": "attn_norm",
    "query": "attn_q",
    "key": "attn_k",
    "value": "attn_v",
    "query_norm": "attn_q_norm",
    "key_norm": "attn_k_norm",
    "output": "attn_output",
    "attention_post_norm": "post_attention_norm",
    "dense_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
    "dense_post_norm": "post_ffw_norm",
}
_ROTARY_FACTORS = "rope_freqs.weight"
_DROPS = (
    Drop(r"rope_freqs\.weight", "factors on rotary frequencies: computed from the config"),
    Drop(r"blk\.\d+\.attn_rot_embd\.weight", "rotary frequencies: computed from the config"),
)
# Not in the metadata: llama.cpp tells them by the architecture and the number of layers.
_LAYERS_OF_27B = {"gemma2": 46, "gemma3": 62}
_WINDOW_EVERY = {"gemma2": 2, "gemma3": 6}
_LOCAL_ROPE_THETA = 10_000.0


def weight_map(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    """The weight map of a GGUF file. All have the same names; `names` is here because other schemes need it.

    Raises:
      WeightsError: the config is not one of an architecture that is known here.
    """
    if config.norm == "rms_offset":
        raise WeightsError("GGUF files hold Gemma's norms as 1 + w: give the decoder norm = 'rms', and try again")
    permuted = {"query": config.num_heads, "key": config.num_kv_heads} if _is_llama(config) else {}

    def layout(module: str, parameter: str) -> Single:
        plain = linear_layout(module, parameter)
        return RotaryPairs(plain, permuted[module]) if module in permuted else plain

    table = _TABLES | {f"layers/{ours}": f"blk.{{}}.{theirs}" for ours, theirs in _MODULES.items()}
    return map_names(config, table, _DROPS, layout=layout)


def _is_llama(config: DecoderConfig) -> bool:
    """Whether llama.cpp calls this architecture `llama`: none of the others has all of these."""
    only_qkv_bias = config.qkv_bias and not config.output_bias
    return config.embedding_scale == 1 and not (config.qk_norm or only_qkv_bias)


def read_config(file: TensorFile) -> DecoderConfig:
    """The decoder that a GGUF file holds, from its metadata and the names and shapes of its tensors.

    Raises:
      WeightsError: the architecture or something of it is not known here, or the metadata is incomplete.
    """
    architecture = file.metadata.get("general.architecture")
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise WeightsError(f"{file.path}: GGUF files of architecture {architecture!r} are not read here ({known} are)")
    metadata = _Metadata(file, architecture)
    heads, width = metadata["attention.head_count"], metadata["embedding_length"]
    fields = {
        "vocab_size": file.shape("token_embd.weight")[0],
        "width": width,
        "num_layers": metadata["block_count"],
        "num_heads": heads,
        "num_kv_heads": metadata.get("attention.head_count_kv", heads),
        "head_dim": metadata.get("attention.key_length", width // heads),
        "hidden_width": metadata["feed_forward_length"],
        "rope_theta": metadata.get("rope.freq_base", 10_000.0),
        "norm_eps": metadata["attention.layer_norm_rms_epsilon"],
        "tied_embeddings": "output.weight" not in file,
        "max_length": metadata["context_length"],
        "qkv_bias": "blk.0.attn_q.bias" in file,
        "output_bias": "blk.0.attn_output.bias" in file,
        "dense_bias": "blk.0.ffn_up.bias" in file,
        "qk_norm": "head" if "blk.0.attn_q_norm.weight" in file else "",
    }
    metadata.only("attention.value_length", None, fields["head_dim"])
    metadata.only("rope.dimension_count", None, fields["head_dim"])
    metadata.only("expert_count", None, 0)
    if architecture.startswith("gemma"):
        fields |= _gemma_fields(metadata, fields)
    else:
        metadata.only("attention.sliding_window", None, 0)
    config = DecoderConfig(**fields)
    return dataclasses.replace(config, rotary_scaling=_scaling(metadata, config))


class _Metadata:
    """The hyperparameters of one architecture."""

    def __init__(self, file: TensorFile, architecture: str):
        self.file, self.architecture = file, architecture

    def get(self, key: str, default: Any = None) -> Any:
        value = self.file.metadata.get(f"{self.architecture}.{key}", default)
        # Floats are stored in 32 bits: the shortest decimal of those is what was meant (1e-05).
        return float(str(np.float32(value))) if isinstance(value, float) else value

    def __getitem__(self, key: str) -> Any:
        value = self.get(key)
        if value is None:
            raise WeightsError(f"{self.file.path}: no {self.architecture}.{key} in the metadata")
        if isinstance(value, list):
            raise WeightsError(
                f"{self.file.path}: {self.architecture}.{key} differs between layers, which is unknown here"
            )
        return value

    def only(self, key: str, *known: Any) -> None:
        value = self.get(key)
        if value not in known:
            raise WeightsError(f"{self.file.path}: {self.architecture}.{key} = {value!r} is not supported")


def _gemma_fields(metadata: _Metadata, fields: dict[str, Any]) -> dict[str, Any]:
    architecture, layers, head_dim = metadata.architecture, fields["num_layers"], fields["head_dim"]
    gemma = {"activation": "gelu_tanh", "embedding_scale": math.sqrt(fields["width"])}
    if architecture == "gemma":
        return gemma
    every = metadata.get("attention.sliding_window_pattern", _WINDOW_EVERY[architecture])
    window = metadata["attention.sliding_window"]
    here = every if isinstance(every, list) else [(layer + 1) % every for layer in range(layers)]
    scalar = fields["width"] // fields["num_heads"] if layers == _LAYERS_OF_27B[architecture] else head_dim
    gemma |= {
        "post_norms": True,
        "windows": shortest_pattern([window if windowed else 0 for windowed in here]),
        "attention_scale": scale_of(scalar, head_dim),
        "attention_softcap": metadata.get("attn_logit_softcapping", 0.0),
        "logit_softcap": metadata.get("final_logit_softcapping", 0.0),
    }
    if architecture == "gemma3":
        gemma["local_rope_theta"] = metadata.get("rope.freq_base_swa", _LOCAL_ROPE_THETA)
    return gemma


def _scaling(metadata: _Metadata, config: DecoderConfig) -> RotaryScaling:
    shared = any(config.layer_windows) and not config.local_rope_theta  # windows do not stop the scaling in Gemma 2
    metadata.only("rope.scaling.type", None, "none", *(() if shared else ("linear",)))
    if metadata.get("rope.scaling.type") == "linear":
        return RotaryScaling("linear", metadata["rope.scaling.factor"])
    if _ROTARY_FACTORS not in metadata.file:
        return RotaryScaling()
    # Llama 3.1 to 3.3: of the four numbers only the result is stored. The largest factor is that of the slow channels;
    # the others have one value in all releases.
    factors = metadata.file[_ROTARY_FACTORS]
    scaling = RotaryScaling("llama3", float(factors.max()), 1.0, 4.0, 8192)
    plain = rotary_frequencies(config, 0)
    scaled = rotary_frequencies(dataclasses.replace(config, rotary_scaling=scaling), 0)
    if factors.shape != plain.shape or not np.allclose(plain / scaled, factors, rtol=1e-4):
        raise WeightsError(f"{metadata.file.path}: {_ROTARY_FACTORS} are not those of Llama 3: not supported")
    return scaling
