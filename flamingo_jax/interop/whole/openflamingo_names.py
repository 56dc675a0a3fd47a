"""The tensor names of OpenFlamingo checkpoints, without what wrappers added to them, and each tensor once.

Releases are flat (`perceiver.latents`), most with `module.` in front. Files of the trainer hold that below
`model_state_dict`, beside the optimizer's state. A save of the whole model has the language model's layers and the
blocks twice, as `lang_encoder.PATH.3.decoder_layer.*` and `lang_encoder.old_decoder_blocks.3.*`, because the peer's
modules share them.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.models.language.decoder_config import DecoderConfig

_WRAPPERS = re.compile(r"(?:(?:model_state_dict|state_dict|module|_orig_mod|_fsdp_wrapped_module)\.)*")
_INNER_WRAPPERS = re.compile(r"(?:_checkpoint_wrapped_module|_fsdp_wrapped_module|_orig_mod)\.")
_PARTS = ("perceiver.", "lang_encoder.", "vision_encoder.")
_COPIES = re.compile(r"lang_encoder\.(old_decoder_blocks|gated_cross_attn_layers)\.(\d+)\.(.+)")
_OWNERS = {"old_decoder_blocks": "decoder_layer", "gated_cross_attn_layers": "gated_cross_attn_layer"}


@dataclasses.dataclass(frozen=True)
class Host:
    """Where a kind of language model keeps its layers and tables, below `lang_encoder`.

    Attributes:
      layers: path of the decoder layers.
      embedding: the embedding table.
      outputs: names of the output table where it is not tied; the first is the one that gets written.
    """

    layers: str
    embedding: str
    outputs: tuple[str, ...] = ("lm_head.weight",)


LLAMA = Host("model.layers", "model.embed_tokens.weight")
MPT = Host("transformer.blocks", "transformer.wte.weight")
# transformers called GPT-NeoX's head embed_out when OpenFlamingo was released, and calls it lm_head from 5 on.
NEOX = Host("gpt_neox.layers", "gpt_neox.embed_in.weight", ("embed_out.weight", "lm_head.weight"))
OPT = Host("model.decoder.layers", "model.decoder.embed_tokens.weight")
GPT2 = Host("transformer.h", "transformer.wte.weight")
HOSTS = (LLAMA, MPT, NEOX, OPT, GPT2)


def host_of(language: DecoderConfig) -> Host:
    """The host that a language model is inside OpenFlamingo.

    Raises:
      WeightsError: OpenFlamingo has no place for such a language model (Chinchilla).
    """
    if language.positions == "alibi":
        return MPT
    if language.positions == "learned":
        return OPT if language.position_offset else GPT2
    if language.positions == "rotary":
        return NEOX if language.norm == "layer" else LLAMA
    raise WeightsError(f"OpenFlamingo hosts no language model with {language.positions} positions")


@dataclasses.dataclass(frozen=True)
class Names:
    """The names of one file.

    Attributes:
      host: the kind of its language model.
      actual: plain name (`perceiver.latents`, `lang_encoder.model.layers.1.decoder_layer...`) -> name in the file.
      copies: names in the file of tensors that stand there a second time.
    """

    host: Host
    actual: Mapping[str, str]
    copies: tuple[str, ...]

    @classmethod
    def read(cls, names: Iterable[str]) -> "Names":
        """Finds out what a file's names mean.

        Raises:
          WeightsError: this is no checkpoint of OpenFlamingo.
        """
        plain = {name: _plain(name) for name in names}
        plain = {name: clean for name, clean in plain.items() if clean}
        host = _find_host(set(plain.values()))
        actual, copies = {}, []
        for name, clean in plain.items():
            if not _COPIES.fullmatch(clean):
                actual[clean] = name
        for name, clean in plain.items():
            if match := _COPIES.fullmatch(clean):
                kind, layer, rest = match.groups()
                original = f"lang_encoder.{host.layers}.{layer}.{_OWNERS[kind]}.{rest}"
                if original in actual:
                    copies.append(name)
                else:
                    actual[original] = name
        return cls(host, actual, tuple(copies))

    @classmethod
    def none(cls, host: Host) -> "Names":
        """No file: every tensor goes by its plain name."""
        return cls(host, {}, ())

    @property
    def language(self) -> dict[str, str]:
        """The language model's tensors: name in its own checkpoint -> name in this file."""
        result = {}
        for clean, name in self.actual.items():
            if clean.startswith("lang_encoder.") and ".gated_cross_attn_layer." not in clean:
                result[self.unhosted(clean)] = name
        return result

    @property
    def vision(self) -> dict[str, str]:
        """The vision encoder's tensors: name in open_clip's visual tower -> name in this file."""
        prefix = "vision_encoder."
        return {clean[len(prefix) :]: name for clean, name in self.actual.items() if clean.startswith(prefix)}

    @property
    def has_layers(self) -> bool:
        """Whether the frozen layers of the language model are in the file: releases have at most their constants."""
        return any(".decoder_layer." in clean and clean.endswith(".weight") for clean in self.actual)

    @property
    def blocks(self) -> list[int]:
        """The layers that have a gated cross-attention block before them."""
        pattern = re.compile(rf"lang_encoder\.{re.escape(self.host.layers)}\.(\d+)\.gated_cross_attn_layer\.attn_gate")
        return sorted(int(match[1]) for clean in self.actual if (match := pattern.fullmatch(clean)))

    def unhosted(self, clean: str) -> str:
        """The name in the language model's own checkpoint."""
        layers = re.escape(self.host.layers)
        return re.sub(rf"^({layers}\.\d+)\.decoder_layer\.", r"\1.", clean.removeprefix("lang_encoder."))


def _plain(name: str) -> str:
    """The name without wrappers; empty for what is no part of the model."""
    name = name[_WRAPPERS.match(name).end() :]
    return _INNER_WRAPPERS.sub("", name) if name.startswith(_PARTS) else ""


def _find_host(names: set[str]) -> Host:
    for host in HOSTS:
        if any(name.startswith(f"lang_encoder.{host.layers}.") for name in names):
            return host
    for host in HOSTS:
        if f"lang_encoder.{host.embedding}" in names:
            return host
    raise WeightsError(
        "no checkpoint of OpenFlamingo: there are no layers of a known language model below lang_encoder "
        f"({', '.join(host.layers for host in HOSTS)})"
    )
