"""A config.json with damaged values: one error that names it, whatever a model would have made of them."""

import json
from pathlib import Path

import pytest
from etils import epath

from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError
from flamingo_jax.training.conversion import convert
from tests import language_goldens
from tests.interop.vision import vit_peers
from tests.interop.whole.support import golden


def refused(folder: Path, config: dict, tensors: dict) -> None:
    folder.mkdir()
    specs = {name: TensorSpec(array.shape, array.dtype) for name, array in tensors.items()}
    write_safetensors(epath.Path(folder), specs, tensors.__getitem__)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"config\.json|do(es)? not"):
        convert(str(folder), str(folder.parent / "out"))
    assert not (folder.parent / "out").exists()


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": "32"}, {"num_hidden_layers": 0}, {"num_attention_heads": 0}, {"vocab_size": -1}],
    ids=lambda change: next(iter(change)),
)
def test_a_language_model(tmp_path, change):
    golden = language_goldens.golden(language_goldens.CASES[0])
    refused(tmp_path / "in", golden.peer | change, golden.tensors)


@pytest.mark.parametrize(
    "change",
    [{"cross_layer_interval": 0}, {"num_hidden_layers": "4"}, {"num_attention_heads": 0}],
    ids=lambda change: next(iter(change)),
)
def test_an_idefics(tmp_path, change):
    stored = golden("idefics_float")
    tensors = {name.removeprefix("state/"): array for name, array in stored.items() if name.startswith("state/")}
    refused(tmp_path / "in", json.loads(str(stored["config"])) | change, tensors)


@pytest.mark.parametrize("change", [{"num_attention_heads": 5}, {"hidden_size": "32"}, {"num_hidden_layers": None}])
def test_a_vision_encoder(tmp_path, change):
    stored = vit_peers.Golden("vit_siglip")
    config = stored.configs["siglip"]
    damaged = config | {"vision_config": config["vision_config"] | change}
    refused(tmp_path / "in", damaged, stored.under("siglip/weights/"))
