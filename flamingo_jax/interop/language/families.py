"""The language-model families: from a config.json to a decoder and back, and the weight map between their files."""

import dataclasses
from collections.abc import Callable, Collection, Container, Mapping
from typing import Any

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.language import gemma_config, gguf, gpt2, gpt_neox, llama, llama_config, mpt, opt
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.language.decoder_config import DecoderConfig


@dataclasses.dataclass(frozen=True)
class Family:
    """Language models with one form of config.json and one set of tensor names.

    Attributes:
      name: of the family: the `model_type` of its config.json, where it has one.
      weight_map: `weight_map(config, names)`: of a file with these tensor names, or, without them, of the form that is
        written. Raises WeightsError where the family has no place for a parameter of the config.
      read, write: the config.json to a decoder's config and back; use `from_hf` and `to_hf`, which check it.
      model_types: other values of `model_type` that mean this family.
      no_config: why there is no config.json, if there is none.
    """

    name: str
    weight_map: Callable[[DecoderConfig, Container[str]], WeightMap]
    read: Callable[[Mapping[str, Any]], DecoderConfig] | None = None
    write: Callable[[DecoderConfig], dict[str, Any]] | None = None
    model_types: tuple[str, ...] = ()
    no_config: str = ""

    def from_hf(self, data: Mapping[str, Any]) -> DecoderConfig:
        """The decoder of a config.json.

        Raises:
          WeightsError: the file asks for something that the decoder cannot do, or makes no sense.
        """
        if self.read is None:
            raise WeightsError(f"{self.name}: {self.no_config}")
        try:
            return self.read(data)
        except WeightsError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"this {self.name} config.json is incomplete or makes no sense: {error!r}") from error

    def to_hf(self, config: DecoderConfig) -> dict[str, Any]:
        """The config.json of a decoder, which gives the same decoder back.

        Raises:
          WeightsError: the family has no form for the decoder; the message names each field that would be lost.
        """
        if self.write is None:
            raise WeightsError(f"{self.name}: {self.no_config}")
        data = self.write(config)
        back = self.from_hf(data)
        wanted, given = _in_effect(config), _in_effect(back)
        lost = [
            f"{key} = {getattr(config, key)!r} (would be {getattr(back, key)!r})"
            for key, value in wanted.items()
            if key not in given or given[key] != value
        ]
        if lost:
            listed = "; ".join(lost)
            raise WeightsError(f"no {self.name} model has {listed}: write another family, or the native format")
        return data


def _nowhere(config: DecoderConfig, names: Container[str] = ()) -> WeightMap:
    raise WeightsError(f"chinchilla: {_NO_CHINCHILLA}")


_NO_CHINCHILLA = "its weights were never published, so there are no files of others; use the native format"
_GGUF_ONLY_READ = "GGUF files have no config.json (see `gguf.read_config` for reading them) and are not written"

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family("llama", llama.weight_map, llama_config.read_llama, llama_config.write_llama),
        Family("mistral", llama.weight_map, llama_config.read_mistral, llama_config.write_mistral),
        Family("qwen2", llama.weight_map, llama_config.read_qwen2, llama_config.write_qwen2),
        Family("qwen3", llama.weight_map, llama_config.read_qwen3, llama_config.write_qwen3),
        Family("gemma", llama.weight_map, gemma_config.read_gemma, gemma_config.write_gemma),
        Family("gemma2", llama.weight_map, gemma_config.read_gemma2, gemma_config.write_gemma2),
        Family("gemma3", llama.weight_map, gemma_config.read_gemma3, gemma_config.write_gemma3, ("gemma3_text",)),
        Family("gpt_neox", gpt_neox.weight_map, gpt_neox.read_config, gpt_neox.write_config),
        Family("opt", opt.weight_map, opt.read_config, opt.write_config),
        Family("mpt", mpt.weight_map, mpt.read_config, mpt.write_config),
        Family("mosaic_gpt", mpt.mosaic_weight_map, mpt.read_mosaic_config, mpt.write_mosaic_config),
        Family("gpt2", gpt2.weight_map, gpt2.read_config, gpt2.write_config),
        Family("gguf", gguf.weight_map, no_config=_GGUF_ONLY_READ),
        Family("chinchilla", _nowhere, no_config=_NO_CHINCHILLA),
    )
}
"""By name. SmolLM2 is `llama`, Qwen 2.5 is `qwen2`."""

# Tensors that tell a family, whatever stands before these names: it is the first one of which a file has all.
_ATTENTION, _BEFORE_DENSE = "layers.0.self_attn.", "layers.0.pre_feedforward_layernorm.weight"
_SIGNS = (
    ("gguf", ("token_embd.weight",)),
    ("gpt_neox", ("layers.0.attention.query_key_value.weight",)),
    ("gpt2", ("h.0.attn.c_attn.weight",)),
    ("mpt", ("blocks.0.norm_1.weight",)),
    ("mosaic_gpt", ("blocks.0.ln_1.weight",)),
    ("opt", (f"{_ATTENTION}q_proj.weight", "layers.0.fc1.weight")),
    ("gemma3", (_BEFORE_DENSE, f"{_ATTENTION}q_norm.weight")),
    ("gemma2", (_BEFORE_DENSE,)),
    ("qwen3", (f"{_ATTENTION}q_norm.weight",)),
    ("llama", (f"{_ATTENTION}q_proj.bias", f"{_ATTENTION}o_proj.bias")),
    ("qwen2", (f"{_ATTENTION}q_proj.bias",)),
    ("llama", (f"{_ATTENTION}q_proj.weight",)),
)


def find_family(names: Collection[str]) -> Family:
    """The family whose tensors have these names.

    Some families share their names: a Mistral or a Gemma 1 is taken for a Llama. Their weight map is the same; only the
    config.json tells them apart (`from_hf`).

    Raises:
      WeightsError: no family has such names.
    """
    endings = {".".join(parts[start:]) for parts in (name.split(".") for name in names) for start in range(len(parts))}
    for name, signs in _SIGNS:
        if endings.issuperset(signs):
            return FAMILIES[name]
    some = ", ".join(sorted(names)[:3])
    raise WeightsError(f"these are no tensors of a language model known here ({', '.join(FAMILIES)}): {some}, ...")


def family_of(data: Mapping[str, Any]) -> Family:
    """The family of a config.json, by its `model_type`.

    Raises:
      WeightsError: it is none of those known here.
    """
    model_type = data.get("model_type")
    for family in FAMILIES.values():
        if family.read and model_type in (family.name, *family.model_types):
            return family
    known = ", ".join(name for name, family in FAMILIES.items() if family.read)
    raise WeightsError(f"config.json has model_type {model_type!r}, which is no language model known here ({known})")


def from_hf(data: Mapping[str, Any]) -> DecoderConfig:
    """The decoder of a config.json of any family.

    Raises:
      WeightsError: the family is unknown, or the file asks for something that the decoder cannot do.
    """
    return family_of(data).from_hf(data)


def to_hf(config: DecoderConfig, family: str = "") -> dict[str, Any]:
    """The config.json of a decoder in a family; without a name, in the first one that has a form for it.

    Raises:
      WeightsError: the family is unknown, or has no form for the decoder; the message says what is in the way.
    """
    if family:
        if family not in FAMILIES:
            raise WeightsError(f"there is no family {family!r}; known: {', '.join(FAMILIES)}")
        return FAMILIES[family].to_hf(config)
    reasons = []
    for candidate in FAMILIES.values():
        if candidate.write is None:
            continue
        try:
            return candidate.to_hf(config)
        except WeightsError as error:
            reasons.append(str(error))
    raise WeightsError("no family has a form for this decoder:\n" + "\n".join(reasons))


# Fields that say something with one kind of positions alone.
_FIELDS_OF = {
    "rotary": ("rope_theta", "rotary_fraction", "rotary_scaling"),
    "learned": ("position_offset",),
    "alibi": ("alibi_max",),
}


def _in_effect(config: DecoderConfig) -> dict[str, Any]:
    """The config's fields that say something, those that can say it in two ways brought into one of them."""
    idle = {name for positions, names in _FIELDS_OF.items() if positions != config.positions for name in names}
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.name not in idle}
    scale = config.attention_scale or config.head_dim**-0.5
    return fields | {
        "windows": config.layer_windows,
        "local_rope_theta": (config.local_rope_theta or config.rope_theta) if any(config.layer_windows) else 0.0,
        "attention_scale": round(scale**-2, 6),
    }
