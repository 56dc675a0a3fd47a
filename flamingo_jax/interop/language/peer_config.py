"""Reading and writing the config.json of other code bases: defaults, activations, rotary scaling, windows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models.language.decoder_config import DecoderConfig, RotaryScaling

# transformers' names. gelu_new, gelu_fast and gelu_pytorch_tanh are one function.
_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "quick_gelu": "quick_gelu",
    "relu": "relu",
    "relu2": "squared_relu",
}
_PEER_ACTIVATIONS = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}


class PeerConfig:
    """A config.json as it is read: the file's values over the peer's defaults, and all that cannot be done of it.

    What is wrong is gathered, and raised in one message by `check`.
    """

    def __init__(self, data: Mapping[str, Any], defaults: Mapping[str, Any]):
        """
        Args:
          data: the file.
          defaults: the peer's, for keys that it leaves out of files because they have these values.
        """
        self._values = dict(defaults) | dict(data)
        self._problems: list[str] = []
        self.only("quantization_config", None)

    def __getitem__(self, key: str) -> Any:
        """The value of a key; None where neither the file nor the peer has one."""
        return self._values.get(key)

    def refuse(self, problem: str) -> None:
        """Notes something that the decoder cannot do."""
        self._problems.append(problem)

    def only(self, key: str, *known: Any) -> None:
        """Refuses all values of a key but these."""
        if self[key] not in known:
            self.refuse(f"{key} = {self[key]!r} (supported: {', '.join(map(repr, known))})")

    def check(self, *parts: "PeerConfig") -> None:
        """Raises WeightsError if anything was refused, here or in one of the parts."""
        if problems := sum((part._problems for part in parts), self._problems):
            raise WeightsError(f"this {self['model_type']} model cannot be built: {'; '.join(problems)}")

    def activation(self, key: str) -> str:
        """Our name of an activation."""
        self.only(key, *_ACTIVATIONS)
        return _ACTIVATIONS.get(self[key], "silu")

    def rotary(self, nested: str = "") -> dict[str, Any]:
        """The fields `rope_theta`, `rotary_scaling` and `rotary_fraction` of a DecoderConfig.

        Read from `rope_parameters` (transformers 5) or from `rope_theta` and `rope_scaling` (before).

        Args:
          nested: of which kind of layers, where `rope_parameters` has several.
        """
        rope = self["rope_scaling"] or self["rope_parameters"] or {}
        rope = rope.get(nested, rope) or {}
        theta = rope.get("rope_theta", self["rope_theta"])
        fraction = rope.get("partial_rotary_factor", self["partial_rotary_factor"])
        return {
            "rope_theta": float(theta),
            "rotary_scaling": self._scaling(rope),
            "rotary_fraction": 1.0 if fraction is None else float(fraction),
        }

    def _scaling(self, rope: Mapping[str, Any]) -> RotaryScaling:
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind == "linear":
            return RotaryScaling("linear", float(rope["factor"]))
        if kind == "llama3":
            return RotaryScaling(
                "llama3",
                float(rope["factor"]),
                float(rope["low_freq_factor"]),
                float(rope["high_freq_factor"]),
                int(rope.get("original_max_position_embeddings", self["max_position_embeddings"])),
            )
        if kind != "default":
            self.refuse(f"rotary scaling of type {kind!r} (supported: 'default', 'linear', 'llama3')")
        return RotaryScaling()

    def windows(self) -> tuple[int, ...]:
        """The window of each layer, from `layer_types` and `sliding_window`, as `DecoderConfig.windows`."""
        sizes = {"full_attention": 0, "sliding_attention": self["sliding_window"] or 0}
        kinds = self["layer_types"]
        if unknown := set(kinds) - sizes.keys():
            self.refuse(f"layer_types {sorted(unknown)} (supported: {', '.join(map(repr, sizes))})")
        return shortest_pattern([sizes.get(kind, 0) for kind in kinds])


def peer_activation(name: str) -> str:
    """transformers' name of one of our activations."""
    return _PEER_ACTIVATIONS[name]


def shortest_pattern(windows: Sequence[int]) -> tuple[int, ...]:
    """The shortest pattern that gives these windows when repeated; empty if there is none anywhere."""
    if not any(windows):
        return ()
    return next(
        tuple(windows[:size])
        for size in range(1, len(windows) + 1)
        if all(window == windows[layer % size] for layer, window in enumerate(windows))
    )


def window_of(config: DecoderConfig) -> int:
    """The one window that layers have, if they have any; 0 if none has.

    Raises:
      WeightsError: they have several.
    """
    sizes = {window for window in config.layer_windows if window}
    if len(sizes) > 1:
        raise WeightsError(f"layers with windows of {sorted(sizes)} tokens: a config.json can have one size only")
    return sizes.pop() if sizes else 0


def layer_types(config: DecoderConfig) -> list[str]:
    """`layer_types` of a config.json."""
    return ["sliding_attention" if window else "full_attention" for window in config.layer_windows]


def rotary_settings(config: DecoderConfig) -> dict[str, Any]:
    """`rope_theta` and `rope_scaling`, which every version of transformers reads."""
    scaling = config.rotary_scaling
    settings: dict[str, Any] = {"rope_theta": config.rope_theta, "rope_scaling": None}
    if scaling.kind:
        settings["rope_scaling"] = {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind == "llama3":
        settings["rope_scaling"] |= {
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
            "original_max_position_embeddings": scaling.original_length,
        }
    return settings


def scale_of(scalar: float, head_dim: int) -> float:
    """`DecoderConfig.attention_scale` of a `query_pre_attn_scalar`."""
    return 0.0 if scalar == head_dim else 1 / math.sqrt(scalar)


def scalar_of(config: DecoderConfig) -> int:
    """The inverse of `scale_of`."""
    return round(config.attention_scale**-2) if config.attention_scale else config.head_dim
