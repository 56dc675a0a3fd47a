"""Opens a model that is to be converted: finds out what it is, its config, and where its parameters are."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tokenizers
from etils import epath

from flamingo_jax.interop import native, parts
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.files.tensors import TensorFile, WeightsError
from flamingo_jax.interop.language import families, gguf
from flamingo_jax.interop.shapes import canonical_shapes
from flamingo_jax.interop.vision import encoders
from flamingo_jax.interop.vision.vit_tensors import Recipe
from flamingo_jax.interop.whole import idefics, openflamingo
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.vision.efficientnet import EfficientNetLiteConfig

_IDEFICS_MARK = "model.perceiver_resampler.latents"
PARTS = ("language", "vision")


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model that is ready to be read.

    Attributes:
      config: `FlamingoConfig`, `DecoderConfig`, or that of a vision encoder.
      kind: what it was found to be, for people.
      sources: its files, opened.
      tokenizer: the folder or GGUF file in which its tokenizer lies; None for a vision encoder.
      zeros: parameters that no file has, and why.
      forms: the family of its language model and the scheme of its vision encoder, by part, as far as they are known.
    """

    config: Any
    kind: str
    sources: tuple[Source, ...]
    tokenizer: epath.Path | None = None
    zeros: Mapping[str, str] = dataclasses.field(default_factory=dict)
    forms: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def parameters(self) -> Parameters:
        """The model's parameters; raises WeightsError, with all names, where the files do not fit the config."""
        return Parameters(self.sources, canonical_shapes(self.config), self.zeros)


def open_model(
    source: str,
    stack: contextlib.ExitStack,
    *,
    language: str = "",
    vision: str = "",
    part: str = "",
    recipe: str | Recipe = "",
) -> Opened:
    """Opens the model at `source`, whose kind is told by the names of its tensors.

    Args:
      source: a file or folder, as for `parts.open_weights`.
      stack: closes the files.
      language, vision: for a checkpoint of OpenFlamingo: the language model and the vision encoder that it is of.
      part: "language" or "vision", where a source could be read as either.
      recipe: what the tensors of a vision encoder cannot tell (`encoders.from_tensors`).

    Raises:
      FileNotFoundError, WeightsError: it is missing, of no known kind, or its config is.
    """
    file = stack.enter_context(parts.open_weights(source))
    names = file.keys()
    if not parts.is_ours(file) and _IDEFICS_MARK not in file and openflamingo.is_openflamingo(names):
        return _openflamingo(file, stack, language, vision, recipe)
    if language or vision:
        raise WeightsError(
            f"{file.path} is no checkpoint of OpenFlamingo, which alone lacks its language model and vision encoder: "
            "leave out --language and --vision"
        )
    is_ours, is_idefics = parts.is_ours(file), _IDEFICS_MARK in file
    if not is_ours and not is_idefics and part in ("", "vision") and _is_of(encoders.find_encoder, file):
        return _vision(file, recipe)
    if recipe:
        raise WeightsError(f"{file.path} is no file of a vision encoder that needs one: leave out --recipe")
    if is_ours:
        return _native(file)
    if is_idefics:
        data = _config_beside(file, "IDEFICS")
        with _understood(file):
            config = idefics.from_hf(data)
            canonical_shapes(config)  # or `parameters` would be the first to try
        return Opened(config, "IDEFICS", (Source(file, idefics.weight_map(config, names)),), file.path.parent)
    if part in ("", "language") and _is_of(families.find_family, file):
        return _language(file)
    wanted = f"{part} model" if part else "model"
    some = ", ".join(sorted(names)[:3])
    raise WeightsError(
        f"{file.path} holds no {wanted} of a known kind, by the names of its tensors ({some}, ...). Looked for: "
        "folders of flamingo_jax.convert, OpenFlamingo, IDEFICS, "
        f"vision encoders ({', '.join(encoders.SCHEMES)}), language models ({', '.join(families.FAMILIES)})"
    )


def _is_of(find: Callable[..., Any], file: TensorFile) -> bool:
    try:
        find(file.keys())
    except WeightsError:
        return False
    return True


def _native(file: TensorFile) -> Opened:
    config = native.read_config(file.path.parent)
    names = canonical_shapes(config)
    tokenizer = file.path.parent if isinstance(config, FlamingoConfig | DecoderConfig) else None
    source, forms = Source(file, native.weight_map(names)), native.read_forms(file.path.parent)
    return Opened(config, "flamingo-jax", (source,), tokenizer, forms=forms)


def language_config(file: TensorFile) -> tuple[DecoderConfig, str]:
    """The config of the language model in a file, from its metadata or from the config.json beside it; and its family.

    Raises:
      WeightsError: there is none, or it asks for what the decoder cannot do.
    """
    if parts.is_ours(file):
        return parts.described(file, "language"), native.read_forms(file.path.parent).get("language", "")
    if families.find_family(file.keys()).name == "gguf":
        return gguf.read_config(file), "gguf"
    data = _config_beside(file, "language model")
    with _understood(file):
        return families.from_hf(data), families.family_of(data).name


def vision_config(file: TensorFile) -> tuple[Any, tuple[str, ...]]:
    """The config of the vision encoder that stands beside a file; and its fields that are not said there.

    Raises:
      WeightsError: there is none, or no encoder can be made of it.
    """
    if parts.is_ours(file):
        return parts.described(file, "vision"), ()
    scheme = encoders.find_encoder(file.keys(), file.shape)
    with _understood(file):
        if scheme.name == "open_clip":
            data = _json_beside(file, "open_clip_config.json") or {}
            preprocessor, says_pixels = None, "mean" in data.get("preprocess_cfg", {})
        elif scheme.to_hf:
            data, preprocessor = _config_beside(file, "vision encoder"), _json_beside(file, "preprocessor_config.json")
            says_pixels = bool(preprocessor)
        else:
            raise WeightsError(f"{file.path}: files of {scheme.name} have no config beside them")
        config = encoders.from_hf(data, preprocessor or None)
    pixels = ("pixel_mean", "pixel_scale") if says_pixels else ()
    return config, tuple(name for name in encoders.not_in_config(scheme.name) if name not in pixels)


def _language(file: TensorFile) -> Opened:
    config, family = language_config(file)
    tokenizer = file.path if family == "gguf" else file.path.parent
    with _understood(file):
        shapes = canonical_shapes(config)
    source = parts.language_source(file, config, shapes)
    return Opened(config, f"language model ({family})", (source,), tokenizer, forms={"language": family})


def _vision(file: TensorFile, recipe: str | Recipe) -> Opened:
    scheme = encoders.find_encoder(file.keys(), file.shape)
    if recipe and not scheme.derives:
        raise WeightsError(f"{file.path}: files of {scheme.name} need no recipe: leave out --recipe")
    says_itself = scheme.name == "open_clip" and not recipe and _json_beside(file, "open_clip_config.json")
    if scheme.name == "efficientnet":
        config = EfficientNetLiteConfig()  # the published lite0; another size does not pass the check of shapes
    elif scheme.derives and not says_itself:
        config = encoders.from_tensors({name: file.shape(name) for name in file}, recipe)
    else:
        config, _ = vision_config(file)
    with _understood(file):
        shapes = canonical_shapes(config)
    source = parts.vision_source(file, config, shapes)
    return Opened(config, f"vision encoder ({scheme.name})", (source,), forms={"vision": scheme.name})


def _openflamingo(
    file: TensorFile, stack: contextlib.ExitStack, language: str, vision: str, recipe: str | Recipe
) -> Opened:
    if not language or not vision:
        raise WeightsError(
            f"{file.path} is a checkpoint of OpenFlamingo, which says nothing of its language model and vision "
            "encoder: name both, --language=PATH --vision=PATH"
        )
    text = open_model(language, stack, part="language")
    sight = open_model(vision, stack, part="vision", recipe=recipe)
    if not isinstance(text.config, DecoderConfig):
        raise WeightsError(f"--language={language} is not a language model by itself, but: {text.kind}")
    if isinstance(sight.config, FlamingoConfig | DecoderConfig):
        raise WeightsError(f"--vision={vision} is not a vision encoder by itself, but: {sight.kind}")
    names = tuple(file)
    specs = {name: file.spec(name) for name in names}
    config = openflamingo.derive(specs, text.config, sight.config)
    rows = config.language.vocab_size + config.num_new_tokens
    if 0 < (more := rows - _tokens(text.tokenizer)) <= 3:  # the tokenizer knows what the tables do not say
        config = openflamingo.derive(specs, text.config, sight.config, more)
    whole = Source(file, openflamingo.weight_map(config, names, **openflamingo.parts_in(config, names)))
    # The parts' files give what the checkpoint lacks; their maps know the config that the checkpoint made of theirs.
    shapes = canonical_shapes(config)
    others = (
        parts.language_source(text.sources[0].file, config.language, shapes),
        parts.vision_source(sight.sources[0].file, config.vision, shapes),
    )
    zeros, forms = openflamingo.zeros(config, names), {**text.forms, **sight.forms}
    return Opened(config, "OpenFlamingo", (whole, *others), text.tokenizer, zeros, forms)


def _tokens(path: epath.Path) -> int:
    """How many tokens the tokenizer in a folder has; 0 if it has no tokenizer.json."""
    file = path / "tokenizer.json"
    if not file.exists():
        return 0
    try:
        return tokenizers.Tokenizer.from_str(file.read_text()).get_vocab_size(with_added_tokens=True)
    except OSError:
        raise
    except Exception as error:  # the package raises bare Exception
        raise WeightsError(f"{file} is no tokenizer.json: {error}") from error


@contextlib.contextmanager
def _understood(file: TensorFile) -> Iterator[None]:
    """Makes one error of whatever a config with damaged values ends in, up to the model that would be built."""
    try:
        yield
    except WeightsError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{file.path}: the config beside it (config.json) or in it describes no model that can be built "
            f"({type(error).__name__}: {reason}); fetch it again"
        ) from error


def _config_beside(file: TensorFile, kind: str) -> dict[str, Any]:
    config = _json_beside(file, "config.json")
    if config is None:
        raise WeightsError(
            f"{file.path}: the tensors are of this kind: {kind}; there must be its config.json in the same folder"
        )
    return config


def _json_beside(file: TensorFile, name: str) -> dict[str, Any] | None:
    """The content of a JSON file in the folder of the weights; None if there is none."""
    path = file.path.parent / name
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise WeightsError(f"{path} is damaged ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path} is damaged: it holds no object; fetch it again")
    return content
