"""Every vision encoder whose weights can be read and written: by the names of its tensors and by its config.json."""

import dataclasses
import importlib
import re
from collections.abc import Callable, Collection, Container, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from flamingo_jax.interop.files.tensors import WeightsError
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.vision import hf_clip, hf_config, hf_dinov2, hf_siglip, open_clip
from flamingo_jax.interop.vision.vit_tensors import Recipe
from flamingo_jax.interop.weight_map import WeightMap
from flamingo_jax.models.vision.efficientnet import EfficientNetLiteConfig
from flamingo_jax.models.vision.nfnet import NFNetConfig
from flamingo_jax.models.vision.vit import ViTConfig

_KINDS = {ViTConfig: "a Vision Transformer", EfficientNetLiteConfig: "an EfficientNet-lite", NFNetConfig: "an NFNet"}


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A way to name the tensors of an encoder.

    Attributes:
      name: of the scheme.
      marks: regular expressions; a file whose tensors have a name for each of them is of this scheme.
      module: under `interop.vision`, imported when it is needed; `function` is its weight map.
      derives: the module has `from_tensors`, which derives a config from names and shapes: there is no config.json.
      matrix_patches: the tensor that the first mark finds must be a matrix: so SigLIP2's NaFlex is told from SigLIP,
        whose names are the same.
      to_hf, image_processor: the writer of transformers' config.json, and its class of processors; None: it has none.
      constants: what transformers wants in the file beside the parameters; None: nothing.
      config: the class of the configs of its encoders.
    """

    name: str
    marks: tuple[str, ...]
    module: str
    function: str = "weight_map"
    derives: bool = False
    matrix_patches: bool = False
    to_hf: Callable[[ViTConfig], dict[str, Any]] | None = None
    image_processor: str = ""
    constants: Callable[[ViTConfig], dict[str, np.ndarray]] | None = None
    config: type = ViTConfig

    @property
    def kind(self) -> str:
        """What its encoders are, with an article."""
        return _KINDS[self.config]

    def weight_map(self, config: Any, names: Container[str] = ()) -> WeightMap:
        """Where each parameter of the encoder stands.

        Args:
          config: of the encoder (`ViTConfig`, or that of another kind of encoder).
          names: the tensors of the file, to find what stands before their names. Without any, as a new file has it.

        Raises:
          WeightsError: the config has parts that the scheme has no names for.
        """
        return getattr(self.load(), self.function)(config, names)

    def load(self) -> ModuleType:
        """The scheme's module."""
        return importlib.import_module(f"{__package__}.{self.module}")


_VISION = r"(vision_model\.)?"
_SIGLIP_MARKS = (
    _VISION + r"embeddings\.patch_embedding\.weight",
    _VISION + r"embeddings\.patch_embedding\.bias",
    _VISION + r"embeddings\.position_embedding\.weight",
)
_DINOV2 = r"(dinov2\w*\.|backbone\.)?"
SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme(
            "hf_clip",
            (_VISION + r"embeddings\.class_embedding", _VISION + r"pre_layrnorm\.weight"),
            "hf_clip",
            to_hf=hf_clip.to_hf,
            image_processor="CLIPImageProcessor",
            constants=hf_clip.constants,
        ),
        Scheme(
            "hf_siglip2",
            _SIGLIP_MARKS,
            "hf_siglip",
            "naflex_weight_map",
            matrix_patches=True,
            to_hf=hf_siglip.naflex_to_hf,
            image_processor="Siglip2ImageProcessor",
        ),
        Scheme("hf_siglip", _SIGLIP_MARKS, "hf_siglip", to_hf=hf_siglip.to_hf, image_processor="SiglipImageProcessor"),
        Scheme(
            "hf_dinov2",
            (_DINOV2 + r"embeddings\.cls_token", _DINOV2 + r"encoder\.layer\.0\.layer_scale1\.lambda1"),
            "hf_dinov2",
            to_hf=hf_dinov2.to_hf,
            image_processor="BitImageProcessor",
            constants=hf_dinov2.constants,
        ),
        Scheme(
            "open_clip",
            (r"(visual\.)?class_embedding", r"(visual\.)?transformer\.resblocks\.0\.attn\.in_proj_weight"),
            "open_clip",
            derives=True,
        ),
        Scheme(
            "timm_vit",
            (r"(visual\.trunk\.)?pos_embed", r"(visual\.trunk\.)?blocks\.0\.attn\.qkv\.weight"),
            "timm_vit",
            derives=True,
        ),
        Scheme(
            "efficientnet",
            (r"_conv_stem\.weight", r"_blocks\.0\._depthwise_conv\.weight"),
            "efficientnet",
            config=EfficientNetLiteConfig,
        ),
        Scheme("nfnet_timm", (r"(state_dict\.)?stem\.conv1\.gain",), "nfnet_timm", derives=True, config=NFNetConfig),
        Scheme("nfnet_haiku", (r"(params/)?NFNet/~/stem_conv0/gain",), "nfnet_haiku", derives=True, config=NFNetConfig),
    )
}
_FROM_HF = {
    "clip": hf_clip.from_hf,
    "clip_vision_model": hf_clip.from_hf,
    "siglip": hf_siglip.from_hf,
    "siglip_vision_model": hf_siglip.from_hf,
    "siglip2": hf_siglip.naflex_from_hf,
    "siglip2_vision_model": hf_siglip.naflex_from_hf,
    "dinov2": hf_dinov2.from_hf,
    "dinov2_with_registers": hf_dinov2.from_hf,
}
# What config.json does not say: which features are taken, and what stands in preprocessor_config.json. How positions
# are interpolated follows from the peer's class.
_NOT_IN_CONFIG = ("output", "pixel_mean", "pixel_scale", "interpolation")


def find_encoder(names: Collection[str], shape: Callable[[str], Shape] | None = None) -> Scheme:
    """The naming scheme of a file.

    Args:
      names: its tensors.
      shape: tells a tensor's shape (`TensorFile.shape`). Without it, SigLIP2's NaFlex is taken for SigLIP.

    Raises:
      WeightsError: it is none of the known schemes.
    """
    for scheme in SCHEMES.values():
        found = [next(filter(re.compile(mark).fullmatch, names), None) for mark in scheme.marks]
        if None in found:
            continue
        if scheme.matrix_patches and (shape is None or len(shape(found[0])) != 2):
            continue
        return scheme
    some = ", ".join(sorted(names)[:3])
    raise WeightsError(
        f"no known vision encoder has tensors of these names ({some}, ...); known schemes: {', '.join(SCHEMES)}"
    )


def from_hf(config: Mapping[str, Any], preprocessor: Mapping[str, Any] | None = None) -> ViTConfig:
    """The encoder of a transformers config.json, alone or under `vision_config`, or of an open_clip_config.json.

    CLIP's features are the patches' before the last norm, the others' the patches' after it: see `ViTConfig`.

    Args:
      config: the file's content.
      preprocessor: that of preprocessor_config.json, for the normalization of pixels; without it, the published one.

    Raises:
      WeightsError: the family is unknown, or `ViT` cannot be this member of it; the message says why.
    """
    if "model_cfg" in config:
        found = open_clip.from_config(config)
    elif (kind := config.get("model_type")) in _FROM_HF:
        found = _FROM_HF[kind](config)
    elif "architecture" in config:
        raise WeightsError(
            f"a timm config.json ({config['architecture']}) says little of the network: use `from_tensors` with the "
            "shapes of the weight file"
        )
    else:
        raise WeightsError(f"config.json: model_type {kind!r} is no known vision encoder; known: {', '.join(_FROM_HF)}")
    if preprocessor is None:
        return found
    mean, scale = hf_config.pixels(preprocessor)
    return dataclasses.replace(found, pixel_mean=mean, pixel_scale=scale)


def from_tensors(shapes: Mapping[str, Shape], recipe: str | Recipe = "") -> Any:
    """The encoder whose tensors have these names and shapes: a `ViTConfig`, or an `NFNetConfig`.

    For files without a config.json: OpenCLIP's, timm's, DINOv2's and DeepMind's.

    Args:
      shapes: of every tensor of the file.
      recipe: what tensors cannot tell, by name (`vit_tensors.RECIPES`, `nfnet_rules.RECIPES`) or, of a Vision
        Transformer, as values. Without it, what follows from the tensors or is the scheme's own; CLIP needs it.

    Raises:
      WeightsError: the scheme is none of these, or something cannot be known; says what to give.
    """
    scheme = find_encoder(shapes, shapes.__getitem__)
    if not scheme.derives:
        raise WeightsError(f"the config of {scheme.name} files does not follow from their tensors: read config.json")
    return scheme.load().from_tensors(shapes, *([recipe] if recipe else []))


def not_in_config(scheme: str) -> tuple[str, ...]:
    """The fields of `ViTConfig` about which the config.json of `SCHEMES[scheme]` says nothing."""
    # CLIP's classes have the last norm and return features from before it, so its files do with and without.
    return (*_NOT_IN_CONFIG, "post_norm") if scheme in ("hf_clip", "open_clip") else _NOT_IN_CONFIG


def to_hf(config: ViTConfig, scheme: str) -> dict[str, Any]:
    """The config.json with which transformers loads what `SCHEMES[scheme]` writes.

    Raises:
      WeightsError: transformers has no such scheme, or its class cannot be this encoder; says which fields differ.
    """
    written = _of_transformers(scheme).to_hf(config)
    again = from_hf(written)
    exempt = not_in_config(scheme)
    differ = [
        f"{field.name} ({getattr(config, field.name)!r}, there {getattr(again, field.name)!r})"
        for field in dataclasses.fields(config)
        if field.name not in exempt and getattr(config, field.name) != getattr(again, field.name)
    ]
    if differ:
        raise WeightsError(f"{scheme} cannot express this encoder; its files have other {', '.join(differ)}")
    return written


def to_preprocessor(config: ViTConfig, scheme: str) -> dict[str, Any]:
    """The preprocessor_config.json that goes with `to_hf`: images squeezed to `image_size` pixels a side.

    NaFlex's processor, which takes no size, keeps an image's proportions and makes as many patches as that has.

    Raises:
      WeightsError: transformers has no such scheme.
    """
    fields = hf_config.preprocessor(config, _of_transformers(scheme).image_processor)
    if scheme == "hf_siglip2":
        del fields["size"]
        fields |= {"patch_size": config.patch_size, "max_num_patches": config.grid**2}
    return fields


def constants(config: ViTConfig, scheme: str) -> dict[str, np.ndarray]:
    """What transformers wants in a new file of the scheme beside the parameters. No feature depends on it.

    Raises:
      WeightsError: transformers has no such scheme.
    """
    make = _of_transformers(scheme).constants
    return make(config) if make else {}


def _of_transformers(scheme: str) -> Scheme:
    if scheme not in SCHEMES or not SCHEMES[scheme].to_hf:
        known = ", ".join(name for name, known in SCHEMES.items() if known.to_hf)
        raise WeightsError(f"{scheme!r} is no scheme of transformers; its vision encoders here are {known}")
    return SCHEMES[scheme]
