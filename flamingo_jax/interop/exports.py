"""The formats in which models are written, each with its weight map and the JSON files beside the weights."""

import collections
import dataclasses
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from flamingo_jax.interop import native, parts
from flamingo_jax.interop.conversion import Parameters, Target, is_float
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.files.torch_writer import write_torch
from flamingo_jax.interop.gin_bindings import gin_bindings
from flamingo_jax.interop.language import families
from flamingo_jax.interop.vision import encoders
from flamingo_jax.interop.weight_map import Drop
from flamingo_jax.interop.whole import idefics, openflamingo
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.vision.vit import ViTConfig

FORMATS = ("native", "huggingface", "openflamingo", "idefics")
_PARTS = (("language", parts.LANGUAGE_NAMES), ("vision", parts.VISION_NAMES))

# What model.gin binds: it is included in the gin file of a run.
_BOUND = (
    (FlamingoConfig, "flamingo_jax.training.run.RunConfig.model"),
    (DecoderConfig, "flamingo_jax.models.flamingo.FlamingoConfig.language"),
    (object, "flamingo_jax.models.flamingo.FlamingoConfig.vision"),
)


@dataclasses.dataclass(frozen=True)
class Export:
    """What will be written.

    Attributes:
      target: the tensors.
      torch: write `checkpoint.pt` rather than safetensors.
      texts: the files beside the weights; `config.json` is written last of all.
      remarks: what the user must know to load it.
    """

    target: Target
    torch: bool = False
    texts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    remarks: Sequence[str] = ()

    def write(self, folder: epath.Path, wrote: Callable[[int], None]) -> None:
        """Writes the tensors and then the texts into an existing folder; `wrote` is told of bytes."""
        if self.torch:
            write_torch(folder / "checkpoint.pt", self.target.specs, self.target.read, wrote=wrote)
        else:
            write_safetensors(folder, self.target.specs, self.target.read, wrote=wrote)
        for name in sorted(self.texts, key=lambda name: name == "config.json"):
            (folder / name).write_text(self.texts[name])


def export(
    config: Any,
    parameters: Parameters,
    to: str,
    *,
    part: str = "",
    dtype: np.dtype | None = None,
    forms: Mapping[str, str] | None = None,
    token_ids: Mapping[str, int] | None = None,
    trained: Collection[str] | None = None,
) -> Export:
    """Decides how a model is written.

    Args:
      config, parameters: the model.
      to: one of `FORMATS`.
      part: "language" or "vision", for that part of a whole model alone.
      dtype: what floating-point tensors are stored in; None for the type that they come in.
      forms: the family of the language model and the scheme of the vision encoder, by part: for transformers, they are
        preferred over others that have a form for the same model.
      token_ids: of the tokenizer's ends, to be noted in config.json (`eos_token_id`).
      trained: canonical names of the parameters that a training run has changed; None where nothing tells them.

    Raises:
      WeightsError: the format has no form for the model; says what is in the way.
    """
    config, left = _take(config, part)
    whole = isinstance(config, FlamingoConfig)
    if to == "native":
        weights = native.weight_map(name for name in parameters if not any(re.fullmatch(d.pattern, name) for d in left))
        bound = next(name for kind, name in _BOUND if isinstance(config, kind))
        texts = {
            "config.json": _json(native.config_json(config, {"forms": dict(forms or {}), **(token_ids or {})})),
            "model.gin": gin_bindings(config, bound),
        }
        return Export(Target(parameters, weights, dtype, left), texts=texts)
    if to == "huggingface":
        if whole:
            raise WeightsError(
                "transformers has no Flamingo: take a part, --part=language or --part=vision, or --to=idefics"
            )
        if isinstance(config, DecoderConfig):
            return _language(config, parameters, dtype, left, (forms or {}).get("language", ""), token_ids or {})
        return _vision(config, parameters, dtype, left, (forms or {}).get("vision", ""))
    if not whole:
        raise WeightsError(f"--to={to} takes a whole Flamingo, not a part of one")
    if to == "openflamingo":
        openflamingo.check_export(config)
        target = Target(parameters, openflamingo.weight_map(config), dtype, _not_in_openflamingo(config, trained))
        return Export(target, torch=True, remarks=openflamingo.export_remarks(config))
    data = idefics.to_hf(config)
    target = Target(parameters, idefics.weight_map(config), dtype, (), idefics.constants(config))
    texts = {
        "config.json": _json(data | (token_ids or {}) | _type_of(target)),
        "preprocessor_config.json": _json(idefics.preprocessor(config)),
    }
    return Export(target, texts=texts)


def _not_in_openflamingo(config: FlamingoConfig, trained: Collection[str] | None) -> list[Drop]:
    """Why parameters of the language model and the vision encoder are left out: no loss, unless they were trained."""
    drops = []
    for part, names in _PARTS:
        # Of vision encoders, transformers knows some of the ViTs at most.
        to = "huggingface" if part == "language" or isinstance(config.vision, ViTConfig) else "native"
        remedy = f"export it with --to={to} --part={part}"
        if changed := [name for name in trained or () if re.fullmatch(names, name)]:
            reason = f"trained, but OpenFlamingo's checkpoints have no place for it: {remedy}"
            drops.append(Drop("|".join(map(re.escape, changed)), reason))
        reason = "frozen: the checkpoints of the language model and of the vision encoder have it"
        if trained is None:
            reason = f"left to the checkpoint that the {part} part came from; if it was trained since, {remedy}"
        drops.append(Drop(names, reason))
    return drops


def _take(config: Any, part: str) -> tuple[Any, Sequence[Drop]]:
    """The config of the part, and the parameters that are no part of it."""
    if isinstance(config, FlamingoConfig) and part == "language":
        return config.language, (Drop(f"(?!{parts.LANGUAGE_NAMES}).*", "it is no part of the language model"),)
    if isinstance(config, FlamingoConfig) and part == "vision":
        return config.vision, (Drop(f"(?!{parts.VISION_NAMES}).*", "it is no part of the vision encoder"),)
    if part and (part == "language") != isinstance(config, DecoderConfig):
        raise WeightsError(f"the source has no {part} part: it is described by a {type(config).__name__}")
    return config, ()


def _language(
    config: DecoderConfig,
    parameters: Parameters,
    dtype: np.dtype | None,
    left: Sequence[Drop],
    form: str,
    token_ids: Mapping[str, int],
) -> Export:
    try:
        data = families.to_hf(config, form)
    except WeightsError:  # as with GGUF, which is read only
        data = families.to_hf(config)
    weights = families.family_of(data).weight_map(config, ()).under(native.LANGUAGE)
    target = Target(parameters, weights, dtype, left)
    return Export(target, texts={"config.json": _json(data | token_ids | _type_of(target))})


def _vision(config: Any, parameters: Parameters, dtype: np.dtype | None, left: Sequence[Drop], form: str) -> Export:
    reasons = []
    # NaFlex comes last: its class can be a SigLIP too, but for square images it is not what anyone looks for.
    for scheme in sorted(encoders.SCHEMES.values(), key=lambda scheme: (scheme.name != form, scheme.matrix_patches)):
        if scheme.to_hf is None or not isinstance(config, ViTConfig):
            continue
        try:
            data = encoders.to_hf(config, scheme.name)
        except WeightsError as error:
            reasons.append(str(error))
            continue
        weights = scheme.weight_map(config).under(native.VISION)
        target = Target(parameters, weights, dtype, left, encoders.constants(config, scheme.name))
        texts = {
            "config.json": _json(data | _type_of(target)),
            "preprocessor_config.json": _json(encoders.to_preprocessor(config, scheme.name)),
        }
        return Export(target, texts=texts)
    listed = "; ".join(reasons) or f"it has no {type(config).__name__.removesuffix('Config')}"
    raise WeightsError(f"transformers has no form for this vision encoder: {listed}")


def _type_of(target: Target) -> dict[str, str]:
    """The key that tells transformers in what type to hold the weights."""
    counts = collections.Counter(spec.dtype.name for spec in target.specs.values() if is_float(spec.dtype))
    return {"torch_dtype": counts.most_common(1)[0][0]} if counts else {}


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
