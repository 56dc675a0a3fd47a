"""The conversion command: every kind of source in, out again with the same bits, and what a user sees of a mistake."""

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from etils import epath

from flamingo_jax import config as config_lib
from flamingo_jax.data import tokenizer_files
from flamingo_jax.interop import native
from flamingo_jax.interop.files.safetensors_writer import write_safetensors
from flamingo_jax.interop.files.tensors import TensorSpec, WeightsError, open_tensors
from flamingo_jax.interop.files.torch_writer import write_torch
from flamingo_jax.interop.pretrained import PretrainedConfig, load_pretrained
from flamingo_jax.interop.vision.vit_tensors import Recipe
from flamingo_jax.training.conversion import convert
from flamingo_jax.training.run import RunConfig
from tests import language_goldens, tiny_run
from tests.interop.vision import vit_peers
from tests.interop.whole.support import golden


def write_folder(folder: Path, tensors: dict[str, np.ndarray], texts: dict | None = None, torch: str = "") -> Path:
    """A model's folder: its weights, and JSON files by name."""
    folder.mkdir(parents=True)
    specs = {name: TensorSpec(array.shape, array.dtype) for name, array in tensors.items()}
    if torch:
        write_torch(epath.Path(folder / torch), specs, tensors.__getitem__)
    else:
        write_safetensors(epath.Path(folder), specs, tensors.__getitem__, shard_bytes=20_000)
    for name, content in (texts or {}).items():
        (folder / name).write_text(json.dumps(content))
    return folder


def tensors_of(path: Path) -> dict[str, np.ndarray]:
    index = path / "model.safetensors.index.json"
    with open_tensors(path if path.is_file() else index if index.exists() else path / "model.safetensors") as file:
        return dict(file.items())


def assert_same(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """The same names, types, shapes and bits."""
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert (ours[name].shape, ours[name].dtype) == (array.shape, array.dtype), name
        assert ours[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("case", language_goldens.CASES)
def test_language_models_in_and_out(tmp_path, case):
    found = language_goldens.golden(case)
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    source = write_folder(tmp_path / "in", found.tensors, {"config.json": found.peer | ends, "tokenizer.json": {}})
    said = convert(str(source), str(tmp_path / "native"))
    assert said.startswith(f"language model ({found.family.name}) -> native: ")
    assert native.read_config(epath.Path(tmp_path / "native")) == found.config
    convert(str(tmp_path / "native"), str(tmp_path / "out"), to="huggingface")
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert written["eos_token_id"] == 2 and written["torch_dtype"] == "float32"
    assert (tmp_path / "out/tokenizer.json").exists()
    convert(str(tmp_path / "out"), str(tmp_path / "again"))
    assert native.read_config(epath.Path(tmp_path / "again")) == found.config
    assert_same(tensors_of(tmp_path / "again"), tensors_of(tmp_path / "native"))
    assert written["model_type"] == found.peer["model_type"]
    assert_same(tensors_of(tmp_path / "out"), tensors_of(source))


@pytest.mark.parametrize(
    ("file", "case", "prefix", "scheme"),
    [
        ("vit_clip", "gelu", "transformers", "hf_clip"),
        ("vit_siglip", "siglip", "siglip", "hf_siglip"),
        ("vit_siglip", "naflex", "naflex", "hf_siglip2"),
        ("vit_dinov2", "plain", "plain", "hf_dinov2"),
        ("vit_dinov2", "registers", "registers", "hf_dinov2"),
        ("vit_dinov2", "gated", "gated", "hf_dinov2"),
    ],
)
def test_vision_encoders_in_and_out(tmp_path, file, case, prefix, scheme):
    peer = vit_peers.Golden(file)
    weights = peer.under(f"{prefix}/weights/")
    source = write_folder(tmp_path / "in", weights, {"config.json": peer.configs[case]}, "pytorch_model.bin")
    said = convert(str(source), str(tmp_path / "native"))
    assert said.startswith(f"vision encoder ({scheme}) -> native: ")
    assert ("CLIP's text tower and loss: not the encoder's" in said) == (file == "vit_clip")
    convert(str(tmp_path / "native"), str(tmp_path / "out"), to="huggingface")
    ours = tensors_of(tmp_path / "out")
    assert ours.keys() <= weights.keys() | {f"vision_model.{name}" for name in weights}
    assert convert(str(tmp_path / "out"), str(tmp_path / "again")).startswith(f"vision encoder ({scheme})")
    assert_same(tensors_of(tmp_path / "again"), tensors_of(tmp_path / "native"))
    assert (tmp_path / "out/preprocessor_config.json").exists()


def test_files_without_a_config_json(tmp_path):
    """Their tensors tell the config, and a recipe what they do not."""
    haiku = vit_peers.GOLDENS / "nfnet_haiku_weights.npz"
    assert convert(str(haiku), str(tmp_path / "nfnet")).startswith("vision encoder (nfnet_haiku) -> native: ")
    with pytest.raises(WeightsError, match="transformers has no form for this vision encoder: it has no NFNet"):
        convert(str(tmp_path / "nfnet"), str(tmp_path / "out"), to="huggingface")
    timm = write_folder(tmp_path / "timm", vit_peers.Golden("vit_timm").under("clip/weights/"))
    said = convert(
        str(timm), str(tmp_path / "clip"), recipe=Recipe("quick_gelu", 1e-5, (0.0,) * 3, (1.0,) * 3, num_heads=4)
    )
    assert said.startswith("vision encoder (timm_vit) -> native: ")
    assert native.read_config(epath.Path(tmp_path / "clip")).activation == "quick_gelu"


def test_an_encoder_that_transformers_has_not(tmp_path, tiny_gin):
    weights = tiny_gin.parent / "vision.safetensors"
    with pytest.raises(WeightsError, match="do not fit the model's config"):  # it is not lite0
        convert(str(weights), str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def openflamingo(tmp_path_factory) -> dict[str, Path]:
    """OpenFlamingo on a tiny MPT: the checkpoint of what was trained, its language model, and its CLIP."""
    root, stored = tmp_path_factory.mktemp("openflamingo"), golden("openflamingo_mpt")
    config = json.loads(str(stored["config"]))

    def tensors(names: str) -> dict[str, np.ndarray]:
        keys = json.loads(str(stored[names]))
        return {name: stored[key if key.startswith("base/") else f"state/{key}"] for name, key in keys.items()}

    prefix = "vision_encoder."
    tower = {f"visual.{n[len(prefix) :]}": x for n, x in tensors("full").items() if n.startswith(prefix)}
    sight = {"model_cfg": {"quick_gelu": True, "vision_cfg": config["vision"] | {"head_width": 8}}}
    return {
        "checkpoint": write_folder(root / "checkpoint", tensors("released"), torch="checkpoint.pt") / "checkpoint.pt",
        "language": write_folder(root / "language", tensors("base"), {"config.json": config["language"]}),
        "vision": write_folder(root / "vision", tower, {"open_clip_config.json": sight}),
    }


def test_openflamingo_in_and_out(tmp_path, openflamingo):
    sides = {part: str(openflamingo[part]) for part in ("language", "vision")}
    said = convert(str(openflamingo["checkpoint"]), str(tmp_path / "native"), **sides)
    assert "language_model/gated_cross_attention" in said
    assert "comes from checkpoint.pt" in said  # the language model's own table
    said = convert(str(tmp_path / "native"), str(tmp_path / "out"), to="openflamingo")
    assert "if it was trained since, export it with --to=huggingface --part=vision" in said
    assert "make OpenFlamingo's PerceiverResampler with depth=2 before loading" in said
    peer = tensors_of(openflamingo["checkpoint"])
    del peer["lang_encoder.lm_head.weight"]  # the embedding table once more: that of an MPT is tied
    assert_same(tensors_of(tmp_path / "out/checkpoint.pt"), peer)
    convert(str(tmp_path / "out/checkpoint.pt"), str(tmp_path / "again"), **sides)
    assert_same(tensors_of(tmp_path / "again"), tensors_of(tmp_path / "native"))
    assert (tmp_path / "again/config.json").read_text() == (tmp_path / "native/config.json").read_text()


@pytest.mark.slow
def test_openflamingo_of_a_run_that_trained_its_language_model(tmp_path, openflamingo, tiny_config):
    """What was trained and has no place in the format is said to be lost; what was frozen, not."""
    sides = {part: str(openflamingo[part]) for part in ("language", "vision")}
    convert(str(openflamingo["checkpoint"]), str(tmp_path / "native"), **sides)
    own, source = tiny_config.optimizer, tmp_path / "native"
    run = dataclasses.replace(
        tiny_config,
        model=native.read_config(epath.Path(source)),
        pretrained=PretrainedConfig(flamingo=str(source), tokenizer=tiny_config.pretrained.tokenizer),
        optimizer=dataclasses.replace(own, policies={"all": own.policies["cross_attention"]}),
        freezing=((r"vision_encoder/.*", "frozen"), (r".*", "all")),
    )
    tiny_run.save_first(tmp_path / "run", run)
    said = convert(str(tmp_path / "run"), str(tmp_path / "out"), to="openflamingo")
    left = {line.split("): ")[1]: line for line in said.splitlines() if "; " in line and "): " in line}
    remedy = "export it with --to=huggingface --part=language"
    lost = left[f"trained, but OpenFlamingo's checkpoints have no place for it: {remedy}"]
    assert "language_model/" in lost and "vision_encoder/" not in lost
    frozen = left["frozen: the checkpoints of the language model and of the vision encoder have it"]
    assert "vision_encoder/" in frozen and "language_model/" not in frozen


def test_openflamingo_needs_its_parts(tmp_path, openflamingo):
    with pytest.raises(WeightsError, match="name both, --language=PATH --vision=PATH"):
        convert(str(openflamingo["checkpoint"]), str(tmp_path / "out"), language=str(openflamingo["language"]))
    with pytest.raises(WeightsError, match="holds no vision model of a known kind"):
        both = str(openflamingo["language"])
        convert(str(openflamingo["checkpoint"]), str(tmp_path / "out"), language=both, vision=both)
    with pytest.raises(WeightsError, match=r"is no checkpoint of OpenFlamingo.*leave out --language"):
        convert(both, str(tmp_path / "out"), language=both)
    with pytest.raises(WeightsError, match="leave out --recipe"):
        convert(both, str(tmp_path / "out"), recipe="openai_clip")
    assert list(tmp_path.iterdir()) == []


def test_idefics_in_and_out_and_its_parts(tmp_path):
    stored = golden("idefics_vector")
    peer = {name.removeprefix("state/"): array for name, array in stored.items() if name.startswith("state/")}
    source = write_folder(tmp_path / "in", peer, {"config.json": json.loads(str(stored["config"]))})
    said = convert(str(source), str(tmp_path / "native"))
    assert said.startswith("IDEFICS -> native: ") and "before the last norm" in said
    said = convert(str(tmp_path / "native"), str(tmp_path / "out"), to="idefics")
    assert "model.vision_model.post_layernorm.weight (ones): transformers wants it" in said
    assert json.loads((tmp_path / "out/preprocessor_config.json").read_text())["image_size"]
    back, norm = tensors_of(tmp_path / "out"), "model.vision_model.post_layernorm."
    assert_same({n: x for n, x in back.items() if norm not in n}, {n: x for n, x in peer.items() if norm not in n})
    assert {name for name in back if norm in name} == {name for name in peer if norm in name}

    convert(str(tmp_path / "native"), str(tmp_path / "language"), to="huggingface", part="language")
    llama = tensors_of(tmp_path / "language")
    assert json.loads((tmp_path / "language/config.json").read_text())["model_type"] == "llama"
    name = "model.layers.0.self_attn.q_proj.weight"
    np.testing.assert_array_equal(llama[name], peer[name])
    assert not any("cross" in name or "additional" in name for name in llama)
    convert(str(tmp_path / "native"), str(tmp_path / "vision"), part="vision")
    config = native.read_config(epath.Path(tmp_path / "vision"))
    assert config == native.read_config(epath.Path(tmp_path / "native")).vision
    with pytest.raises(WeightsError, match="transformers has no Flamingo"):
        convert(str(tmp_path / "native"), str(tmp_path / "x"), to="huggingface")
    with pytest.raises(WeightsError, match="takes a whole Flamingo"):
        convert(str(tmp_path / "vision"), str(tmp_path / "x"), to="idefics")
    with pytest.raises(WeightsError, match="OpenFlamingo has no form for this model"):
        convert(str(tmp_path / "native"), str(tmp_path / "x"), to="openflamingo")


def test_types_are_cast_on_request(tmp_path, openflamingo):
    convert(str(openflamingo["language"]), str(tmp_path / "out"), dtype="bfloat16")
    ours = tensors_of(tmp_path / "out")
    assert {array.dtype.name for array in ours.values()} == {"bfloat16"}
    theirs = tensors_of(openflamingo["language"])["transformer.wte.weight"]
    np.testing.assert_array_equal(
        ours["language_model/embedding"], theirs.astype(ours["language_model/embedding"].dtype)
    )


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory) -> dict:
    """A tiny run with a checkpoint: its `workdir`, the model's `params` by path, and `native`, what it converts to."""
    root = tmp_path_factory.mktemp("run")
    workdir, setup = root / "workdir", tiny_run.save_first(root / "workdir", tiny_config)
    flat = {}
    for tree in (setup.params, setup.frozen):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            flat["/".join(key.key for key in path)] = np.asarray(leaf)
    said = convert(str(workdir), str(root / "native"))
    return {"workdir": workdir, "params": flat, "native": root / "native", "said": said}


def test_a_training_run_comes_out_as_it_was(run, tiny_config):
    assert run["said"].startswith("training run, step 0 -> native: ")
    assert native.read_config(epath.Path(run["native"])) == tiny_config.model
    leaves = {path: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for path, leaf in run["params"].items()}
    # Another run starts from it: all of it, or all but the language model.
    whole = PretrainedConfig(flamingo=str(run["native"]), frozen_dtype="float32")
    loaded, fingerprint = load_pretrained(whole, tiny_config.model, leaves)
    assert_same(loaded, run["params"])
    mixed = dataclasses.replace(whole, language=tiny_config.pretrained.language)
    for other in (tiny_config.pretrained, mixed):
        assert load_pretrained(other, tiny_config.model, leaves)[1] == fingerprint
    assert whole.tokenizer_path == str(run["native"])
    assert (run["native"] / "tokenizer.json").exists()


def test_model_gin_builds_the_same_model(tmp_path, run, tiny_gin):
    lines = tiny_gin.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("from", "import")) and _module(line) not in _MODEL]
    imports = [line for line in lines if line.startswith("from")]
    (tmp_path / "run.gin").write_text("\n".join([*imports, f"include '{run['native']}/model.gin'", *kept]))
    made = config_lib.resolve(RunConfig, [str(tmp_path / "run.gin")], [])
    assert made == config_lib.resolve(RunConfig, [str(tiny_gin)], [])


_MODEL = ("flamingo", "decoder_config", "efficientnet", "resampler", "gated_cross_attention")


def _module(line: str) -> str:
    """The module of a binding; that of the model for the binding of the model itself."""
    name = line.rpartition(" = ")[0].rpartition("/")[2]
    return "flamingo" if name == "run.RunConfig.model" else name.partition(".")[0]


def test_a_run_over_other_weights_is_refused(tmp_path, run, tiny_gin):
    weights = tiny_gin.parent / "language.safetensors"
    before = weights.read_bytes()
    try:
        weights.write_bytes(before[:-4] + b"\0\0\0\0")
        with pytest.raises(Exception, match="was trained on other pretrained weights"):
            convert(str(run["workdir"]), str(tmp_path / "native"))
    finally:
        weights.write_bytes(before)
    assert list(tmp_path.iterdir()) == []


def test_unknown_and_truncated_sources(tmp_path, openflamingo):
    odd = write_folder(tmp_path / "odd", {"a": np.zeros(3), "b": np.zeros(3)})
    with pytest.raises(
        WeightsError, match=r"holds no model of a known kind, .*\(a, b, \.\.\.\)\. Looked for: .*IDEFICS"
    ):
        convert(str(odd), str(tmp_path / "out"))
    bare = write_folder(tmp_path / "bare", tensors_of(openflamingo["language"]))
    with pytest.raises(WeightsError, match=r"there must be its config\.json in the same folder"):
        convert(str(bare), str(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="holds no weights"):
        convert(str(tmp_path / "empty"), str(tmp_path / "out"))
    data = openflamingo["checkpoint"].read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match=r"cut\.pt"):
        convert(str(tmp_path / "cut.pt"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_output_may_not_be_the_source(tmp_path, openflamingo, run, tiny_gin):
    source = openflamingo["language"]
    (tmp_path / "folder").symlink_to(source)
    (tmp_path / "cache").mkdir()
    for path in source.iterdir():
        (tmp_path / "cache" / path.name).symlink_to(path)
    for read, output in (
        (source, source),
        (source, source.parent),
        (tmp_path / "folder", source),
        (tmp_path / "cache/model.safetensors.index.json", tmp_path / "cache"),
        (run["workdir"], tiny_gin.parent),  # of the pretrained weights, which the run's config alone names
    ):
        with pytest.raises(WeightsError, match="is, or contains, the source"):
            convert(str(read), str(output), overwrite=True)


def test_only_what_a_conversion_writes_is_overwritten(tmp_path, openflamingo):
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for name in ("config.json", *tokenizer_files._NAMES):
        (tmp_path / "out" / name).touch()
    for foreign in ("notes.txt", "adapter_model.safetensors"):
        (tmp_path / "out" / foreign).touch()
        with pytest.raises(WeightsError, match=rf"no folder that a conversion wrote \(it holds {foreign}\)"):
            convert(str(openflamingo["language"]), str(tmp_path / "out"), overwrite=True)
        (tmp_path / "out" / foreign).unlink()
    for output in ("out", "out", "link"):  # the second time, its own
        convert(str(openflamingo["language"]), str(tmp_path / output), overwrite=True)
    assert (tmp_path / "link").is_symlink() and tensors_of(tmp_path / "out")


SLOWLY = """
import sys, time
from flamingo_jax.interop.files import safetensors_writer
from flamingo_jax import command_line, convert
fast = safetensors_writer.raw
def slow(*arguments):
    for data in fast(*arguments):
        time.sleep(0.2)
        yield data
safetensors_writer.raw = slow
command_line.run(convert.main)
"""


def command(program: list[str], source: Path, output: Path, **more) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, *program, f"--source={source}", f"--output={output}"], **pipes, **more)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path, openflamingo, sent):
    process = command(["-c", SLOWLY], openflamingo["language"], tmp_path / "out")
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".out.partial-*/*")) and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    assert list(tmp_path.glob(".out.partial-*/*")), process.communicate()[1]
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and said.endswith("interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_the_command(tmp_path, openflamingo):
    """What is printed where, that an existing folder is kept, and that bfloat16 comes out half as large."""
    done = command(["-m", "flamingo_jax.convert"], openflamingo["language"], tmp_path / "out")
    said, bar = done.communicate(timeout=120)
    assert done.returncode == 0, bar
    assert said.startswith("language model (mpt) -> native: ") and "mapped:" in said
    assert "writing" in bar and "error" not in bar
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    done = command(["-m", "flamingo_jax.convert"], openflamingo["language"], tmp_path / "out")
    said, error = done.communicate(timeout=120)
    assert (done.returncode, said) == (2, "")
    (line,) = error.splitlines()
    assert line.startswith("error: ") and "--overwrite" in line
    assert before == {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
