import contextlib
import json
import pickle
import types
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from flamingo_jax.data.tokenizer import IMAGE_TAG, NewTokens, Tokenizer, TokenizerError, load_tokenizer

GOLDEN = json.loads((Path(__file__).parents[1] / "goldens" / "smollm2_tokens.json").read_text())
CONTROL = range(17)  # SmolLM2's control tokens are its first 17


@pytest.fixture
def byte_folder(tmp_path):
    """A folder as published models have it: a byte-level tokenizer with two control tokens, and the files beside it."""
    backend = tokenizers.Tokenizer(models.BPE({c: i for i, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<s>", "</s>"])
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"bos_token": {"content": "<s>"}, "eos_token": "</s>"}))
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 320}))
    return tmp_path


def spells_control(case):
    return any(token in CONTROL for token in case["ids"])


@pytest.mark.parametrize("case", [c for c in GOLDEN["cases"] if not spells_control(c)], ids=lambda c: c["text"][:20])
def test_gguf_gives_the_ids_of_the_peer(smollm2, case):
    assert smollm2.encode(case["text"]) == case["ids"]
    assert smollm2.decode(case["ids"]) == case["text"]


def test_gguf_gives_the_special_ids(smollm2):
    assert (smollm2.bos_id, smollm2.eos_id) == (GOLDEN["bos_id"], GOLDEN["eos_id"])
    assert smollm2.vocab_size == smollm2.eoc_id == GOLDEN["vocabulary_size"]


@given(st.lists(st.sampled_from(["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<EOC>", " hi ", "<", "|>", "é", "7"])))
def test_text_never_becomes_a_control_token(smollm2, pieces):
    text = "".join(pieces)
    ids = smollm2.encode(text)
    assert all(token not in CONTROL and token < smollm2.vocab_size for token in ids)
    assert smollm2.decode(ids) == text


def test_the_tag_is_several_tokens_of_plain_text(smollm2):
    assert len(smollm2.image_tag_ids) == 3
    assert smollm2.decode(smollm2.image_tag_ids) == IMAGE_TAG


@given(st.text(st.characters(max_codepoint=0x3FFFF, exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t")))
def test_offsets_cover_the_text(smollm2, text):
    ids, offsets = smollm2.encode_with_offsets(text)
    assert ids == smollm2.encode(text)
    assert all(start < end for start, end in offsets)
    assert {place for start, end in offsets for place in range(start, end)} == set(range(len(text)))


def test_decode_leaves_control_tokens_out_unless_asked(smollm2):
    ids = [smollm2.bos_id, *smollm2.encode("a dog"), smollm2.eoc_id, smollm2.eos_id]
    assert smollm2.decode(ids) == "a dog"
    assert smollm2.decode(ids, skip_control=False) == "<|im_start|>a dog<EOC><|im_end|>"


@pytest.mark.parametrize(
    ("new", "eoc", "tag", "spelled"),
    [
        (NewTokens(3, 0, (1,)), 0, (1,), "a<EOC><image><new 2>"),  # OpenFlamingo
        (NewTokens(2, -1, (0, 1, 0)), None, (0, 1, 0), "a<new 0><new 1>"),  # IDEFICS
    ],
)
def test_other_models_have_other_new_tokens(byte_folder, new, eoc, tag, spelled):
    tokenizer = pickle.loads(pickle.dumps(load_tokenizer(str(byte_folder), 320, new)))
    assert tokenizer.eoc_id == (tokenizer.eos_id if eoc is None else 320 + eoc)
    assert tokenizer.image_tag_ids == tuple(320 + token for token in tag)
    ids = [*tokenizer.encode("a"), *range(320, 320 + new.count)]
    assert tokenizer.decode(ids) == "a"
    assert tokenizer.decode(ids, skip_control=False) == spelled
    with pytest.raises(ValueError, match="is not in the vocabulary of 320 tokens and"):
        tokenizer.decode([320 + new.count])


def spaces_tokenizer():
    """As Llama's: a space is part of the next token, text begins with one that is not shown, bytes stand alone."""
    words = ["<s>", "</s>", "▁", "▁a", "b", "▁▁", *(f"<0x{byte:02X}>" for byte in range(256))]
    model = models.BPE({word: index for index, word in enumerate(words)}, [], byte_fallback=True)
    backend = tokenizers.Tokenizer(model)
    shown = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(shown)
    backend.add_special_tokens(["<s>", "</s>"])
    return Tokenizer(backend, bos_id=0, eos_id=1)


CHARACTERS = st.characters(max_codepoint=0x3FFFF, exclude_categories=["Cs"])


@given(st.lists(st.integers(0, 49152).map(lambda token: [token]) | st.text(CHARACTERS)))
def test_pieces_are_the_text_in_parts(smollm2, parts):
    ids = [token for part in parts for token in (smollm2.encode(part) if isinstance(part, str) else part)]
    pieces = smollm2.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == smollm2.decode(ids, skip_control=False)


@given(st.lists(st.integers(0, 5) | st.just(262) | CHARACTERS))
def test_pieces_of_a_tokenizer_that_strips_spaces(parts):
    tokenizer = spaces_tokenizer()
    ids = [token for part in parts for token in ([part] if isinstance(part, int) else [6 + b for b in part.encode()])]
    assert "".join(tokenizer.pieces(ids)) == tokenizer.decode(ids, skip_control=False)


def test_a_piece_is_what_its_token_adds(byte_folder):
    tokenizer = load_tokenizer(str(byte_folder))
    ids = [tokenizer.bos_id, *tokenizer.encode("a é")]
    assert tokenizer.pieces([*ids, tokenizer.eoc_id]) == ["<s>", "a", " ", "", "é", "<EOC>"]
    assert tokenizer.pieces([*ids[:-1], tokenizer.eoc_id])[-2:] == ["\ufffd", "<EOC>"]  # the character is cut
    assert spaces_tokenizer().pieces([0, 3, 4, 2, 3]) == ["<s>", " a", "b", " ", " a"]
    with pytest.raises(ValueError, match="token 321 is not in the vocabulary"):
        tokenizer.pieces([321])


def test_decode_refuses_unknown_ids(smollm2):
    with pytest.raises(ValueError, match="token 49153 is not in the vocabulary"):
        smollm2.decode([smollm2.eoc_id + 1])


def test_survives_pickling(smollm2):
    again = pickle.loads(pickle.dumps(smollm2))
    text = "7 dogs <|im_end|> é"
    assert again.encode(text) == smollm2.encode(text)
    assert (again.bos_id, again.eos_id, again.eoc_id) == (smollm2.bos_id, smollm2.eos_id, smollm2.eoc_id)


def test_json_folder(byte_folder):
    tokenizer = load_tokenizer(str(byte_folder))
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.eoc_id) == (256, 257, 320)
    ids = tokenizer.encode("é </s>")
    assert 257 not in ids and tokenizer.decode([256, *ids, 320]) == "é </s>"
    assert pickle.loads(pickle.dumps(tokenizer)).encode("</s>") == tokenizer.encode("</s>")


def test_json_without_beginning_uses_the_end(byte_folder):
    (byte_folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": None, "eos_token": "</s>"}))
    assert load_tokenizer(str(byte_folder / "tokenizer.json")).bos_id == 257


def test_json_ends_from_config(byte_folder):
    (byte_folder / "tokenizer_config.json").unlink()
    (byte_folder / "config.json").write_text(json.dumps({"bos_token_id": 256, "eos_token_id": [257, 4]}))
    tokenizer = load_tokenizer(str(byte_folder), vocab_size=300)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.eoc_id) == (256, 257, 300)


def test_json_without_ends_is_an_error(byte_folder):
    (byte_folder / "tokenizer_config.json").unlink()
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: no file beside it names the end-of-sequence token"):
        load_tokenizer(str(byte_folder))


@pytest.mark.parametrize("which", ["bos", "eos"])
def test_an_end_that_the_vocabulary_lacks_is_an_error(byte_folder, which):
    ends = {"bos_token": "<s>", "eos_token": "</s>", f"{which}_token": {"content": "<absent>"}}
    (byte_folder / "tokenizer_config.json").write_text(json.dumps(ends))
    with pytest.raises(TokenizerError, match=rf"tokenizer_config\.json: {which}_token '<absent>' is not in the vocab"):
        load_tokenizer(str(byte_folder))


@pytest.mark.parametrize("name", ["tokenizer_config.json", "special_tokens_map.json", "config.json"])
@pytest.mark.parametrize("content", [b'{"eos_token": ', b"\xff\xfe", b"[]"])
def test_a_damaged_file_beside_it_is_an_error(byte_folder, name, content):
    (byte_folder / "tokenizer_config.json").unlink()
    (byte_folder / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=rf"/{name} is .*PretrainedConfig\.tokenizer"):
        load_tokenizer(str(byte_folder))


@pytest.mark.parametrize("value", ["</s>", ["</s>"]])
def test_an_end_that_is_no_number_is_an_error(byte_folder, value):
    (byte_folder / "tokenizer_config.json").unlink()
    (byte_folder / "config.json").write_text(json.dumps({"eos_token_id": value}))
    with pytest.raises(TokenizerError, match=r"config\.json: eos_token_id is '</s>', no number"):
        load_tokenizer(str(byte_folder))


def test_another_models_tokenizer_is_an_error(byte_folder):
    says = r"tokenizer\.json: .*100 rows and 1 new ones cannot hold a vocabulary of 258.*PretrainedConfig\.tokenizer"
    with pytest.raises(TokenizerError, match=says):
        load_tokenizer(str(byte_folder), vocab_size=100)


WEIGHT_FILES = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "weights.pt"]


@pytest.mark.parametrize("name", WEIGHT_FILES)
def test_weights_have_the_tokenizer_of_their_folder(byte_folder, name):
    (byte_folder / name).write_bytes(b"{}")
    assert load_tokenizer(str(byte_folder / name)).eos_id == 257


@pytest.mark.parametrize("name", [*WEIGHT_FILES, ""])
def test_a_folder_without_tokenizer_is_an_error(tmp_path, name):
    if name:
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(TokenizerError, match=rf"{name}: no tokenizer\.json in .*set PretrainedConfig\.tokenizer"):
        load_tokenizer(str(tmp_path / name))


@pytest.mark.parametrize("name", ["broken.gguf", "broken.json"])
@pytest.mark.parametrize("content", [b"", b"GGUF\x03\x00\x00\x00", b"{}"])
def test_damaged_file_is_one_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        load_tokenizer(str(tmp_path / name))


def test_truncated_gguf_is_one_error(smollm2, tmp_path):
    from flamingo_jax.interop.locate import locate
    from tests.data.conftest import SMOLLM2

    with locate(SMOLLM2).open("rb") as file:
        (tmp_path / "short.gguf").write_bytes(file.read(500_000))
    with pytest.raises(ValueError, match=r"short\.gguf is a truncated or corrupt GGUF file"):
        Tokenizer.from_gguf(tmp_path / "short.gguf")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.gguf"):
        load_tokenizer(str(tmp_path / "nothing.gguf"))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"ggml.model": "llama"}, "tokenizer 'llama' with pre-tokenizer 'gpt-2' cannot be rebuilt"),
        ({"ggml.merges": ["no such"]}, "its tokenizer is damaged"),
        ({"ggml.token_type": [1]}, r"its tokenizer is damaged \(2 tokens, 1 types\)"),
        ({"ggml.eos_token_id": 9}, "eos_id 9 is not in the vocabulary of 2 tokens"),
    ],
)
def test_a_gguf_without_a_usable_tokenizer_is_an_error(monkeypatch, changed, says):
    data = {"model": "gpt2", "tokens": ["a", "b"], "token_type": [1, 1], "merges": []}
    data |= {"bos_token_id": 0, "eos_token_id": 1}
    metadata = {f"tokenizer.ggml.{key}": value for key, value in data.items()}
    metadata |= {f"tokenizer.{key}": value for key, value in changed.items()}
    opened = contextlib.nullcontext(types.SimpleNamespace(metadata=metadata))
    monkeypatch.setattr("flamingo_jax.data.tokenizer.open_tensors", lambda path: opened)
    with pytest.raises(TokenizerError, match=rf"some\.gguf: .*{says}.*PretrainedConfig\.tokenizer"):
        Tokenizer.from_gguf("some.gguf")
