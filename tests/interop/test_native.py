"""Our own folders: what they hold, loading from them in whole and in part, and what does not fit."""

import dataclasses
import json

import numpy as np
import pytest
from etils import epath
from flax import traverse_util

from flamingo_jax.config import ConfigError
from flamingo_jax.interop import native
from flamingo_jax.interop.canonical import places
from flamingo_jax.interop.conversion import Parameters, Source
from flamingo_jax.interop.exports import export
from flamingo_jax.interop.files.tensors import TensorFile, TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.parts import is_language, is_vision
from flamingo_jax.interop.pretrained import PretrainedConfig, load_pretrained
from flamingo_jax.interop.shapes import canonical_shapes
from flamingo_jax.models.flamingo import Flamingo
from flamingo_jax.training.conversion import convert
from flamingo_jax.training.design import Design
from flamingo_jax.training.freezing import FROZEN
from flamingo_jax.training.quantization import abstract_frozen
from flamingo_jax.training.setup import set_up
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny

PART = {"language": tiny.LANGUAGE, "vision": tiny.VISION}


class Drawn(TensorFile):
    """Random parameters of a model under canonical names."""

    def __init__(self, model):
        rng = np.random.default_rng(0)
        self._arrays = {n: rng.normal(size=s).astype(np.float32) for n, s in canonical_shapes(model).items()}
        super().__init__(epath.Path("drawn"), {n: TensorSpec(x.shape, x.dtype) for n, x in self._arrays.items()}, {})

    def _read(self, name):
        return self._arrays[name]


def write(folder, model, part="", to="native") -> epath.Path:
    folder = epath.Path(folder)
    folder.mkdir()
    file = Drawn(model)
    parameters = Parameters([Source(file, native.weight_map(file))], canonical_shapes(model))
    export(model, parameters, to, part=part).write(folder, lambda count: None)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, epath.Path]:
    root = tmp_path_factory.mktemp("native")
    return {part: write(root / (part or "flamingo"), tiny.CONFIG, part) for part in ("", "language", "vision")}


def stacked(model) -> dict[str, tuple[int, ...]]:
    return {path: leaf.shape for path, leaf in flat_shapes(abstract_params(Flamingo(model))).items()}


def load(model=tiny.CONFIG, frozen_dtype="float32", trainable=(), **paths):
    config = PretrainedConfig(**{name: str(path) for name, path in paths.items()}, frozen_dtype=frozen_dtype)
    shapes = flat_shapes(abstract_params(Flamingo(model)))
    labels = {path: "trains" if path in trainable else FROZEN for path in shapes}
    leaves = traverse_util.flatten_dict(
        abstract_frozen(shapes, labels, dict.fromkeys(shapes), {}, {}, frozen_dtype), sep="/"
    )
    return load_pretrained(config, model, leaves | {path: shapes[path] for path in trainable})


def test_a_folder_is_whole(folders):
    assert native.read_config(folders[""]) == tiny.CONFIG
    assert json.loads((folders[""] / "config.json").read_text())["format"] == "flamingo-jax"
    with open_tensors(folders[""] / "model.safetensors") as file:
        assert set(file) == set(canonical_shapes(tiny.CONFIG))


@pytest.mark.parametrize("part", ["language", "vision"])
def test_a_folder_of_a_part(folders, part):
    assert native.read_config(folders[part]) == PART[part]
    with open_tensors(folders[part] / "model.safetensors") as file:
        assert set(file) == set(canonical_shapes(PART[part]))


def test_every_parameter_goes_to_its_place(folders):
    params, _ = load(flamingo=folders[""])
    drawn = Drawn(tiny.CONFIG)
    assert params.keys() == stacked(tiny.CONFIG).keys()
    for name, place in places(stacked(tiny.CONFIG), tiny.CONFIG.plan).items():
        np.testing.assert_array_equal(params[place.path][place.index], drawn[name], err_msg=name)


@pytest.mark.slow
def test_parts_that_are_named_go_before_the_whole(folders, tmp_path):
    other = write(tmp_path / "other", tiny.LANGUAGE)  # other numbers: fewer are drawn before
    mixed, first = load(flamingo=folders[""], language=other)
    whole, second = load(flamingo=folders[""])
    alone, _ = load(language=other)
    assert first != second
    changed = [path for path in whole if not np.array_equal(whole[path], mixed[path])]
    assert changed and set(changed) <= set(alone)
    assert alone.keys() == {path for path in whole if path.startswith("language_model/") and not _is_new(path)}


def _is_new(path: str) -> bool:
    return "gated_cross_attention" in path or "new_" in path


@pytest.mark.slow
def test_a_part_of_a_whole_folder_may_be_named(folders):
    """And another placement of the cross-attention needs no other folder of the language model."""
    sparse = tiny.config(cross_attention_every=3, cross_attention_first=1)
    for source in (folders[""], folders["language"]):
        params, fingerprint = load(sparse, language=source, vision=folders["vision"])
        assert all(path.startswith(("language_model/", "vision_encoder/")) and not _is_new(path) for path in params)
        assert fingerprint == load(flamingo=folders[""])[1]
    with pytest.raises(WeightsError, match=r"have no place in the model: language_model/gated_cross_attention/2/"):
        load(sparse, flamingo=folders[""])


def test_what_is_not_named_is_not_loaded(folders):
    assert load()[0] == {}
    assert all(path.startswith("vision_encoder/") for path in load(vision=folders["vision"])[0])


@pytest.mark.slow
def test_what_trains_is_not_cut_short(folders):
    names = canonical_shapes(tiny.CONFIG)
    trainable = ("vision_encoder/stem/kernel",)
    params, fingerprint = load(frozen_dtype="bfloat16", trainable=trainable, flamingo=folders[""])
    short = {path for path, leaf in params.items() if leaf.dtype != np.float32}
    of_parts = {
        p.path for n, p in places(stacked(tiny.CONFIG), tiny.CONFIG.plan).items() if is_language(n) or is_vision(n)
    }
    assert short == of_parts - set(trainable)
    assert fingerprint == load(flamingo=folders[""])[1]
    assert len(names) > len(of_parts)


def test_the_fingerprint_is_of_the_values(folders, tmp_path):
    half = tmp_path / "half"
    convert(str(folders["language"]), str(half), dtype="bfloat16")
    again = tmp_path / "again"
    convert(str(half), str(again), dtype="float32")
    prints = [load(language=path)[1] for path in (folders["language"], half, again)]
    assert prints[0] != prints[1] == prints[2]  # the type in which the same numbers are stored does not count


def test_a_model_that_does_not_fit(folders):
    wide = tiny.config(language=dataclasses.replace(tiny.LANGUAGE, hidden_width=64))
    with pytest.raises(
        WeightsError, match=r"language_model/layers/0/down/kernel is \(48, 32\), the model wants \(64, 32\)"
    ):
        load(wide, flamingo=folders[""])
    deep = tiny.config(language=dataclasses.replace(tiny.LANGUAGE, num_layers=4))
    with pytest.raises(WeightsError, match=r"have no place in the model: language_model/layers/4/"):
        load(deep, language=folders["language"])
    with pytest.raises(WeightsError, match=r"holds a part of a model: name it in PretrainedConfig\.language"):
        load(flamingo=folders["language"])
    with pytest.raises(
        WeightsError, match=r"holds the weights of a DecoderConfig.*vision is an EfficientNetLiteConfig"
    ):
        load(vision=folders["language"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is not of this package"),
        ('{"format": "other"}', "is not of this package"),
        ('{"format": "flamingo-jax", "version": 99}', "has version 99"),
        ('{"format": "flamingo-jax", "version": 1}', "no config that can be built"),
        ('{"format": "flamingo-jax", "version": 1, "model": {"_type": "os.system"}}', "no config that can be built"),
    ],
)
def test_a_config_that_cannot_be_read(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match=message):
        native.read_config(epath.Path(tmp_path))


def test_a_folder_without_its_commit_marker(tmp_path):
    with pytest.raises(WeightsError, match="no complete folder"):
        native.read_config(epath.Path(tmp_path))


def test_a_frozen_part_that_nothing_names_is_an_error(tiny_config):
    config = dataclasses.replace(tiny_config, pretrained=dataclasses.replace(tiny_config.pretrained, vision=""))
    with pytest.raises(
        ConfigError, match=r"frozen parameters come from no pretrained file, the first 'vision_encoder/"
    ):
        set_up(Design.make(config))


def test_a_tokenizer_must_be_named():
    assert PretrainedConfig("a", flamingo="b").tokenizer_path == "a"
    assert PretrainedConfig("a", flamingo="b", tokenizer="c").tokenizer_path == "c"
    with pytest.raises(WeightsError, match="set its tokenizer"):
        _ = PretrainedConfig(vision="a").tokenizer_path


def test_a_config_that_no_tensor_contradicts_is_warned_of(folders, caplog):
    load(language=folders["language"])
    assert not caplog.records
    other = tiny.config(language=dataclasses.replace(tiny.LANGUAGE, rope_theta=5e5, windows=(4, 0), max_length=32))
    load(other, language=folders["language"])
    (record,) = caplog.records
    said = record.getMessage()
    assert "rope_theta 10000.0, not 500000.0; layer_windows (0, 0, 0, 0, 0), not (4, 0, 4, 0, 4)" in said
    assert "max_length" not in said


def test_object_stores(folders, object_store, tmp_path):
    convert(str(folders["language"]), str(object_store / "models/language"))
    assert native.read_config(object_store / "models/language") == tiny.LANGUAGE
    convert(str(object_store / "models/language"), str(tmp_path / "out"))
    with (
        open_tensors(tmp_path / "out/model.safetensors") as ours,
        open_tensors(folders["language"] / "model.safetensors") as theirs,
    ):
        assert {name: x.tobytes() for name, x in ours.items()} == {name: x.tobytes() for name, x in theirs.items()}
