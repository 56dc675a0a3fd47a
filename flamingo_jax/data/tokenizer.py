"""Text to token ids and back, with the tokenizer that the language model came with."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import tokenizers
from etils import epath
from tokenizers import decoders, models, pre_tokenizers

from flamingo_jax.interop.files.tensors import open_tensors
from flamingo_jax.interop.locate import locate

IMAGE_TAG = "<image>"
"""Stands where an image stands. Plain text for the tokenizer: several sub-tokens, no new one (paper, section 3.2.1)."""

EOC_NAME = "<EOC>"
"""How the end-of-chunk token, the only new one, is shown to people. No text encodes to it."""

# `tokenizer.ggml.pre` of a GGUF file -> are digits set apart one by one before the split of GPT-2?
_DIGITS_APART = {"gpt-2": False, "smollm": True, "starcoder": True, "refact": True, "command-r": True}
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4  # `tokenizer.ggml.token_type`
_INCOMPLETE = "\ufffd"  # what a decoder writes for bytes that are no character
_SET_ANOTHER = "set PretrainedConfig.tokenizer to the model's tokenizer.json, or to the folder that holds it"


class TokenizerError(ValueError):
    """There is no tokenizer where one is looked for, or it cannot serve the model; the message says what to do."""


class NewTokens(NamedTuple):
    """Tokens that a Flamingo has after its language model's vocabulary.

    Attributes:
      count: how many.
      end_of_chunk: which of them is `<EOC>`, from 0; -1: none, the end-of-sequence token stands for it.
      image: which of them, in order, stand for an image; empty for the plain text `<image>`.
    """

    count: int = 1
    end_of_chunk: int = 0
    image: tuple[int, ...] = ()


ONLY_EOC = NewTokens()  # the paper's


class Tokenizer:
    """A base tokenizer plus new tokens, whose ids begin at the size of the base vocabulary. Picklable, thread-safe.

    Attributes:
      vocab_size: rows of the language model's embedding table (it may be padded beyond the tokenizer's own entries).
      bos_id, eos_id, eoc_id: beginning and end of sequence, end of chunk.
      image_tag_ids: the tokens of an image's tag: new ones, or the sub-tokens of `IMAGE_TAG`, encoded apart from any
        text beside it, so that they are always these.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        bos_id: int,
        eos_id: int,
        vocab_size: int | None = None,
        new: NewTokens = ONLY_EOC,
    ):
        """
        Args:
          backend: the tokenizer of the `tokenizers` package. This object takes it over.
          bos_id, eos_id: ids of the base vocabulary.
          vocab_size: rows of the embedding table; the number of tokens if None.
          new: the tokens after it. The backend may know them too.

        Raises:
          TokenizerError: the table is smaller than the vocabulary, or an id lies outside it.
        """
        entries = backend.get_vocab_size(with_added_tokens=True)
        self.vocab_size = entries if vocab_size is None else vocab_size
        if self.vocab_size + new.count < entries:
            raise TokenizerError(
                f"an embedding table of {vocab_size} rows and {new.count} new ones cannot hold a vocabulary of "
                f"{entries} tokens"
            )
        for name, token in (("bos_id", bos_id), ("eos_id", eos_id)):
            if not 0 <= token < self.vocab_size:
                raise TokenizerError(f"{name} {token} is not in the vocabulary of {self.vocab_size} tokens")
        self.bos_id, self.eos_id, self._new = bos_id, eos_id, new
        self.eoc_id = eos_id if new.end_of_chunk < 0 else self.vocab_size + new.end_of_chunk
        # Web text that spells a control token is text about that token: it must not act as one.
        backend.encode_special_tokens = True
        self._backend = backend
        added = backend.get_added_tokens_decoder()
        self._control = {token for token, content in added.items() if content.special} | {bos_id, eos_id}
        self.image_tag_ids = tuple(self.vocab_size + token for token in new.image) or tuple(self.encode(IMAGE_TAG))

    def __reduce__(self):
        return _restore, (self._backend.to_str(), self.bos_id, self.eos_id, self.vocab_size, self._new)

    def files(self) -> dict[str, str]:
        """The text of each file, by name, from which `from_json` makes this tokenizer again."""
        ends = {
            f"{name}_token": self._backend.id_to_token(token)
            for name, token in (("bos", self.bos_id), ("eos", self.eos_id))
        }
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **ends}
        return {"tokenizer.json": self._backend.to_str(), "tokenizer_config.json": json.dumps(config, indent=1) + "\n"}

    def encode(self, text: str) -> list[int]:
        """The ids of the text, nothing added. Text that spells a control token is encoded as the text it is.

        A byte that the vocabulary lacks (SmolLM2: rare control characters and planes above 3) gets no token.
        """
        return self._backend.encode(text, add_special_tokens=False).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and for each the (start, end) of its characters in `text`."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def decode(self, ids: Iterable[int], *, skip_control: bool = True) -> str:
        """The text of the ids. Control tokens and new ones are left out, or spelled out if `skip_control` is False.

        Raises:
          ValueError: an id is neither in the base vocabulary nor one of the new tokens.
        """
        pieces: list[str] = []
        run: list[int] = []
        for token in map(int, ids):
            if not 0 <= token < self.vocab_size + self._new.count:
                raise ValueError(
                    f"token {token} is not in the vocabulary of {self.vocab_size} tokens and {self._new.count} new ones"
                )
            if token >= self.vocab_size or (skip_control and token in self._control):
                pieces.append(self._text(run))
                run = []
                if not skip_control:
                    pieces.append(self._new_name(token))
            else:
                run.append(token)
        return "".join([*pieces, self._text(run)])

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """What each token adds to the text; joined, they are `decode(ids, skip_control=False)`.

        A token that ends within a character adds nothing, and the one that completes it adds the character. (Where
        bytes are no text, some decoders show other replacement characters for all of them than for a part.)

        Raises:
          ValueError: as `decode`.
        """
        ids = [*map(int, ids)]
        pieces: list[str] = []
        start = shown = 0  # ids[start:shown] are the tokens of the last piece, which may decide how the next begins
        for end, token in enumerate(ids, 1):
            before, text = (self.decode(ids[start:stop], skip_control=False) for stop in (shown, end))
            following = ids[end] if end < len(ids) else self.eoc_id
            if text.endswith(_INCOMPLETE) and following < self.vocab_size and token < self.vocab_size:
                pieces.append("")
                continue
            pieces.append(text[len(before) :])
            start, shown = (shown, end) if token < self.vocab_size else (end, end)
        return pieces

    def _new_name(self, token: int) -> str:
        if token == self.eoc_id:
            return EOC_NAME
        return IMAGE_TAG if (token,) == self.image_tag_ids else f"<new {token - self.vocab_size}>"

    def _text(self, run: list[int]) -> str:
        return self._backend.decode(run, skip_special_tokens=False) if run else ""

    @classmethod
    def from_gguf(cls, path: epath.PathLike, vocab_size: int | None = None, new: NewTokens = ONLY_EOC) -> "Tokenizer":
        """The byte-level BPE tokenizer that a GGUF file carries in its metadata.

        Raises:
          WeightsError: the file is damaged or not GGUF.
          TokenizerError: its tokenizer is of a kind that is not rebuilt here, incomplete, or another model's.
        """
        with open_tensors(path) as file:
            data = file.metadata
        try:
            model, pre = data["tokenizer.ggml.model"], data.get("tokenizer.ggml.pre", "gpt-2")
            if model != "gpt2" or pre not in _DIGITS_APART:
                raise TokenizerError(
                    f"{path}: tokenizer {model!r} with pre-tokenizer {pre!r} cannot be rebuilt from a GGUF file (known:"
                    f" 'gpt2' with {', '.join(_DIGITS_APART)}); {_SET_ANOTHER}"
                )
            tokens, kinds = data["tokenizer.ggml.tokens"], data["tokenizer.ggml.token_type"]
            merges = [tuple(merge.split(" ", 1)) for merge in data["tokenizer.ggml.merges"]]
            bos, eos = data["tokenizer.ggml.bos_token_id"], data["tokenizer.ggml.eos_token_id"]
        except KeyError as error:
            raise TokenizerError(f"{path}: no {error} in the metadata; {_SET_ANOTHER}") from None
        try:
            bpe = models.BPE({token: index for index, token in enumerate(tokens)}, merges)
        except Exception as error:  # The package raises bare Exception.
            raise TokenizerError(f"{path}: its tokenizer is damaged ({error}); {_SET_ANOTHER}") from error
        if len(kinds) != len(tokens):
            raise TokenizerError(
                f"{path}: its tokenizer is damaged ({len(tokens)} tokens, {len(kinds)} types); {_SET_ANOTHER}"
            )
        backend = tokenizers.Tokenizer(bpe)
        gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        digits = [pre_tokenizers.Digits(individual_digits=True)] if _DIGITS_APART[pre] else []
        backend.pre_tokenizer = pre_tokenizers.Sequence([*digits, gpt2])
        backend.decoder = decoders.ByteLevel()
        for token, kind in zip(tokens, kinds, strict=True):
            if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED):
                special = kind != _USER_DEFINED
                backend.add_tokens([tokenizers.AddedToken(token, special=special, normalized=False)])
        return cls._of_file(path, backend, int(bos), int(eos), vocab_size, new)

    @classmethod
    def from_json(cls, path: epath.PathLike, vocab_size: int | None = None, new: NewTokens = ONLY_EOC) -> "Tokenizer":
        """The tokenizer of a `tokenizer.json`. The ids of the ends come from the JSON files beside it.

        They are looked for in `tokenizer_config.json`, `special_tokens_map.json` and `config.json`; a model that has no
        beginning-of-sequence token uses its end-of-sequence token there, as such models were trained. `config.json`
        also says how many rows the embedding table has.

        Raises:
          FileNotFoundError: there is no such file.
          TokenizerError: the file cannot be read as a tokenizer, no end-of-sequence token is named, a file beside it is
            damaged or of another tokenizer, or the tokenizer is another model's.
        """
        path = epath.Path(path)
        content = path.read_bytes()
        try:
            backend = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # The package raises bare Exception.
            raise TokenizerError(f"{path}: not a tokenizer.json ({error}); {_SET_ANOTHER}") from error
        config = _json_beside(path, "config.json")
        eos = _end(path, backend, config, "eos")
        if eos is None:
            raise TokenizerError(
                f"{path}: no file beside it names the end-of-sequence token; add a tokenizer_config.json with its "
                f'"eos_token", or {_SET_ANOTHER}'
            )
        bos = _end(path, backend, config, "bos")
        size = config.get("vocab_size") if vocab_size is None else vocab_size
        return cls._of_file(path, backend, eos if bos is None else bos, eos, size, new)

    @classmethod
    def _of_file(cls, path, backend, bos_id: int, eos_id: int, vocab_size: int | None, new: NewTokens) -> "Tokenizer":
        try:
            return cls(backend, bos_id=bos_id, eos_id=eos_id, vocab_size=vocab_size, new=new)
        except TokenizerError as error:
            raise TokenizerError(f"{path}: is it another model's tokenizer? {error}; {_SET_ANOTHER}") from None


def load_tokenizer(path: str, vocab_size: int | None = None, new: NewTokens = ONLY_EOC) -> Tokenizer:
    """The tokenizer in a `.gguf` file, in a `tokenizer.json`, in a folder that holds the latter, or beside weights.

    `path` may be local, `gs://` or `package://NAME/FILE`. A file of weights that carries no tokenizer, such as
    `model.safetensors` or an index of shards, stands for its folder. `vocab_size`: rows of the embedding table, if the
    files do not say it. `new`: the tokens after it.

    Raises:
      FileNotFoundError: there is no such file.
      WeightsError: a GGUF file is damaged.
      TokenizerError: it is no tokenizer that can be used, or there is none in the folder.
    """
    found = locate(path)
    if found.suffix == ".gguf":
        return Tokenizer.from_gguf(found, vocab_size, new)
    if found.suffix != ".json" or found.name.endswith(".index.json"):
        folder = found if found.is_dir() else found.parent
        found = folder / "tokenizer.json"
        if not found.exists():
            raise TokenizerError(
                f"{path}: no tokenizer.json in {folder}, and a tokenizer is read from one or from a .gguf file; "
                f"{_SET_ANOTHER}"
            )
    return Tokenizer.from_json(found, vocab_size, new)


def _restore(backend: str, bos_id: int, eos_id: int, vocab_size: int, new: NewTokens) -> Tokenizer:
    made = tokenizers.Tokenizer.from_str(backend)
    return Tokenizer(made, bos_id=bos_id, eos_id=eos_id, vocab_size=vocab_size, new=new)


def _json_beside(path: epath.Path, name: str) -> dict[str, Any]:
    file = path.parent / name
    if not file.exists():
        return {}
    content = file.read_bytes()
    try:
        data = json.loads(content)
    except ValueError as error:
        raise TokenizerError(f"{file} is damaged ({error}); fetch it again, or {_SET_ANOTHER}") from error
    if not isinstance(data, dict):
        raise TokenizerError(f"{file} is no JSON object; fetch it again, or {_SET_ANOTHER}")
    return data


def _end(path: epath.Path, backend: tokenizers.Tokenizer, config: dict[str, Any], which: str) -> int | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = _json_beside(path, name).get(f"{which}_token")
        content = token.get("content") if isinstance(token, dict) else token
        if content is None:
            continue
        index = backend.token_to_id(content) if isinstance(content, str) else None
        if index is None:
            raise TokenizerError(
                f"{path.parent / name}: {which}_token {content!r} is not in the vocabulary of {path}; take both files "
                f"from one model, or {_SET_ANOTHER}"
            )
        return index
    token = config.get(f"{which}_token_id")
    token = next(iter(token), None) if isinstance(token, list) else token
    if token is not None and not isinstance(token, int):
        raise TokenizerError(f"{path.parent / 'config.json'}: {which}_token_id is {token!r}, no number; {_SET_ANOTHER}")
    return token
