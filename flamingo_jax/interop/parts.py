"""The parts of a Flamingo from weight files of any kind, told by the names of their tensors."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flamingo_jax.interop import native
from flamingo_jax.interop.conversion import Source
from flamingo_jax.interop.files.folders import weight_file
from flamingo_jax.interop.files.tensors import TensorFile, WeightsError, open_tensors
from flamingo_jax.interop.language import families
from flamingo_jax.interop.layouts import Shape
from flamingo_jax.interop.locate import locate
from flamingo_jax.interop.vision import encoders
from flamingo_jax.interop.weight_map import Drop
from flamingo_jax.models.flamingo import FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig

# Of a Flamingo's decoder, but not of the language model that it was made from.
_NEW = ("gated_cross_attention", "graft", "new_rows", "new_output_rows")
LANGUAGE_NAMES = rf"language_model/(?!({'|'.join(_NEW)})(/|$)).*"
"""The canonical names of a pretrained language model's parameters."""
VISION_NAMES = r"vision_encoder/.*"
"""Those of a vision encoder's."""


def open_weights(path: str) -> TensorFile:
    """Opens the weights at `path`: a file, or a folder of one model; local, `gs://...` or `package://NAME/FILE`.

    Raises:
      FileNotFoundError, WeightsError: there are none, or they cannot be read.
    """
    return open_tensors(weight_file(locate(path)))


def is_language(name: str) -> bool:
    """Whether the pretrained language model has the parameter of this canonical name."""
    return _module(name) == "language_model"


def is_vision(name: str) -> bool:
    """Whether the vision encoder has it."""
    return _module(name) == "vision_encoder"


def language_source(file: TensorFile, config: DecoderConfig, shapes: Mapping[str, Shape]) -> Source:
    """Where the language model's parameters are in a file of any family, or in a folder of ours.

    Args:
      file: the weights.
      config: of the language model.
      shapes: of the model's parameters; those of the language model are taken.

    Raises:
      WeightsError: no family has such tensors, this family has no place for something in the config, or a folder of
        ours holds something else.
    """
    if is_ours(file):
        _check_kind(file, "language", config)
        return native_source(file, filter(is_language, shapes), "it is no part of the language model")
    with _naming(file):
        family = families.find_family(file.keys())
        return Source(file, family.weight_map(config, file.keys()).under(native.LANGUAGE))


def vision_source(file: TensorFile, config: Any, shapes: Mapping[str, Shape]) -> Source:
    """The same for the vision encoder; WeightsError also where the file is of another kind of encoder."""
    if is_ours(file):
        _check_kind(file, "vision", config)
        return native_source(file, filter(is_vision, shapes), "it is no part of the vision encoder")
    with _naming(file):
        scheme = encoders.find_encoder(file.keys(), file.shape)
        if isinstance(config, scheme.config):
            return Source(file, scheme.weight_map(config, file.keys()).under(native.VISION))
    raise WeightsError(
        f"{file.path} holds {scheme.kind}'s weights ({scheme.name}), the model's config is {a_class(config)}: name the "
        f"weights of such an encoder, or set the config's vision to {_a(scheme.config.__name__)}"
    )


def native_source(file: TensorFile, names: Iterable[str], reason: str) -> Source:
    """The parameters `names` from a folder of ours.

    Args:
      file: the weights.
      names: canonical. A parameter that is not among them but next to them, as of one layer more, is an error.
      reason: why the other modules' tensors stay in the file.
    """
    names = tuple(names)
    modules = {_module(name) for name in names}
    others = sorted({_module(name) for name in file} - modules)
    drops = [Drop(_pattern(module), reason) for module in others]
    return Source(file, native.weight_map(names, drops))


def is_ours(file: TensorFile) -> bool:
    """Whether the tensors have canonical names."""
    return any(name.startswith((native.LANGUAGE, native.VISION)) for name in file)


def described(file: TensorFile, part: str) -> Any:
    """The config of a part, "language" or "vision", that stands beside tensors of ours; it may be of another part.

    Raises:
      WeightsError: the folder has no config that can be read.
    """
    config = native.read_config(file.path.parent)
    return getattr(config, part) if isinstance(config, FlamingoConfig) else config


def a_class(config: Any) -> str:
    """The name of a config's class, with an article."""
    return _a(type(config).__name__)


def _a(noun: str) -> str:
    article = "an" if noun[0] in "AEIO" or noun.startswith("NF") else "a"
    return f"{article} {noun}"


def _check_kind(file: TensorFile, part: str, config: Any) -> None:
    """Refuses a folder of ours whose config.json describes something of another class than `config`."""
    try:
        theirs = described(file, part)
    except WeightsError:
        return  # tensors in a folder without a config: their names and shapes decide
    if not isinstance(config, type(theirs)):
        raise WeightsError(
            f"{file.path} holds the weights of {a_class(theirs)}, by the config.json beside it; the model's {part} is "
            f"{a_class(config)}: name the weights of such a one, or change the model's config"
        )


@contextlib.contextmanager
def _naming(file: TensorFile) -> Iterator[None]:
    """Puts the file's path before the message of a WeightsError."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{file.path}: {error}") from error


def _module(name: str) -> str:
    """What of the model is loaded, or left, as one."""
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == "language_model" and parts[1] in _NEW else parts[0]


def _pattern(module: str) -> str:
    """The names of a module's parameters."""
    return LANGUAGE_NAMES if module == "language_model" else rf"{re.escape(module)}(/.*)?"
