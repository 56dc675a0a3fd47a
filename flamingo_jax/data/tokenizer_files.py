"""The files of a tokenizer, to be put beside converted weights."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from etils import epath

from flamingo_jax.data.tokenizer import load_tokenizer

_NAMES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
)
_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


class TokenizerFiles(NamedTuple):
    """What a language model's folder should hold of its tokenizer.

    Attributes:
      contents: of the files, by name.
      ids: of the ends, for config.json: some models' stand there alone.
      note: why there is no `tokenizer.json`, if there is none.
    """

    contents: Mapping[str, bytes]
    ids: Mapping[str, Any]
    note: str = ""


def tokenizer_files(path: epath.Path) -> TokenizerFiles:
    """The files of the tokenizer at `path`: the folder in which it lies, a file of it, or a GGUF file."""
    if path.suffix == ".gguf":
        try:
            tokenizer = load_tokenizer(str(path))
        except ValueError as error:
            return TokenizerFiles({}, {}, str(error))
        contents = {name: text.encode() for name, text in tokenizer.files().items()}
        return TokenizerFiles(contents, {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id})
    folder = path if path.is_dir() else path.parent
    contents = {name: (folder / name).read_bytes() for name in _NAMES if (folder / name).exists()}
    config = folder / "config.json"
    data = json.loads(config.read_text()) if config.exists() else {}
    note = (
        "" if "tokenizer.json" in contents else f"{folder} has no tokenizer.json; give PretrainedConfig.tokenizer one"
    )
    return TokenizerFiles(contents, {key: data[key] for key in _IDS if data.get(key) is not None}, note)
