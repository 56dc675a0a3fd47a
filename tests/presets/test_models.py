"""Every file of gin/models builds the model that it is named after: its parameter counts are the published ones."""

import dataclasses
import functools
from pathlib import Path

import pytest

from flamingo_jax import config
from flamingo_jax.interop.language import families
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.language.decoder_config import DecoderConfig
from flamingo_jax.models.vision.vit import ViTConfig
from flamingo_jax.training.freezing import FROZEN, label
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import abstract_params, flat_shapes
from tests import tiny
from tests.interop.language.test_released_configs import RELEASED

ROOT = Path(__file__).parents[2]
REST = ("gin/data/paper.gin", "gin/optim/adamw.gin")
MODELS = sorted(path.stem for path in (ROOT / "gin/models").glob("*.gin"))

# Millions of parameters. The paper's as its tables imply them (the visual projection apart); the others from the
# published sizes: OpenFlamingo's resampler and blocks, and the whole of IDEFICS, by hand from its tensors' shapes.
PAPER = {
    "flamingo_3b": {"vision_encoder": 435.3, "resampler": 193.6, "cross_attention": 1208, "language_model": 1374},
    "flamingo_9b": {"vision_encoder": 435.3, "resampler": 193.6, "cross_attention": 1611, "language_model": 7110},
    "flamingo_80b": {"vision_encoder": 435.3, "resampler": 193.6, "cross_attention": 9664, "language_model": 70060},
}
PROJECTION = {"flamingo_3b": 1536 * 2048, "flamingo_9b": 1536 * 4096, "flamingo_80b": 1536 * 8192}
LANGUAGE = {  # as published: the embedding tables of OpenFlamingo's hosts are cut to the tokenizer
    "openflamingo_3b": 1313,
    "openflamingo_4b": 2775,
    "openflamingo_9b": 6648,
    "idefics_9b": 6738,
    "idefics_80b": 65286,
    "qwen2_5_7b_siglip": 7616,
}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


@functools.cache
def run(name: str) -> RunConfig:
    return config.resolve(RunConfig, [f"gin/models/{name}.gin", *REST], [])


@functools.cache
def shapes(name: str) -> dict:
    return flat_shapes(abstract_params(Flamingo(run(name).model)))


def counts(name: str) -> dict[str, int]:
    """Parameters of each part; the blocks and new rows are not the language model's."""
    found: dict[str, int] = {}
    for path, leaf in shapes(name).items():
        part = path.split("/")[0]
        if "gated_cross_attention" in path:
            part = "cross_attention"
        elif "/new_" in path:
            part = "new_rows"
        found[part] = found.get(part, 0) + leaf.size
    return found


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_sizes(name):
    found = counts(name)
    for part, millions in PAPER[name].items():
        assert abs(found[part] / (millions * 1e6) - 1) < 0.01, f"{part}: {found[part]:,} of {millions} million"
    assert found["visual_projection"] == PROJECTION[name]
    assert found["new_rows"] == run(name).model.language.width


@pytest.mark.parametrize("name", LANGUAGE)
def test_published_sizes(name):
    assert abs(counts(name)["language_model"] / (LANGUAGE[name] * 1e6) - 1) < 0.01


@pytest.mark.parametrize("name", MODELS)
def test_the_rules_of_freezing_fit(name):
    labels = label(shapes(name), run(name).freezing)
    assert set(labels.values()) == {FROZEN, "resampler", "cross_attention", "new_tokens"}
    for path, policy in labels.items():
        trains = path.startswith(("resampler/", "visual_projection/")) or "gated_cross" in path or "/new_" in path
        assert (policy != FROZEN) == trains, path


@pytest.mark.parametrize(
    ("preset", "released", "changes"),
    [
        ("llama3_1_8b", "Llama-3.1-8B", {}),
        ("qwen2_5_7b", "Qwen2.5-7B", {}),
        ("smollm2_135m", "SmolLM2-135M", {"max_length": 8192}),
        # Cut to the tokenizer.
        ("mpt_1b", "mpt-1b-redpajama-200b", {"vocab_size": 50277}),
        ("mpt_7b", "mpt-7b", {"vocab_size": 50277}),
        ("redpajama_3b", "RedPajama-INCITE-Base-3B", {"vocab_size": 50277}),
    ],
)
def test_language_models_are_what_their_config_json_says(preset, released, changes):
    made = config.resolve(
        FlamingoConfig,
        [f"gin/language/{preset}.gin"],
        [
            "flamingo.FlamingoConfig.vision = None",
            "flamingo.FlamingoConfig.resampler = None",
            "flamingo.FlamingoConfig.cross_attention = None",
        ],
    ).language
    assert made == dataclasses.replace(families.from_hf(RELEASED[released][0]), **changes)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [  # as the peers' models report them, without heads and, for CLIP, without the last norm
        ("nfnet_f0", 68_416_284),
        ("nfnet_f6", 435_286_116),
        ("clip_vit_l14", 303_177_728),
        ("openclip_vit_h14", 630_763_520),
        ("siglip_so400m", 412_987_248),
        ("dinov2_s14", 22_056_192),
        ("dinov2_l14", 304_367_616),
        ("efficientnet_lite0", 3_413_024),
    ],
)
def test_encoders_have_the_parameters_of_their_peers(preset, parameters):
    files = ["gin/language/smollm2_135m.gin", f"gin/vision/{preset}.gin"]
    rest = [f"flamingo.FlamingoConfig.{part} = None" for part in ("resampler", "cross_attention")]
    assert tiny.vision_size(config.resolve(FlamingoConfig, files, rest).vision) == parameters


LANGUAGES = sorted(path.stem for path in (ROOT / "gin/language").glob("*.gin") if path.stem != "defaults")
VITS = ("clip_vit_l14", "dinov2_s14", "dinov2_l14", "openclip_vit_h14", "siglip_so400m")


def parts(*files: str) -> FlamingoConfig:
    """The parts that gin files name; what they leave out is None."""
    named = "".join((ROOT / file).read_text() for file in files)
    fields = ("language", "vision", "resampler", "cross_attention")
    rest = [f"flamingo.FlamingoConfig.{field} = None" for field in fields if f"FlamingoConfig.{field} =" not in named]
    files = files if "language" not in "".join(rest) else ("gin/language/smollm2_135m.gin", *files)
    return config.resolve(FlamingoConfig, list(files), [line for line in rest if ".language" not in line])


@pytest.mark.parametrize("later", LANGUAGES)
def test_nothing_of_another_language_model_stays(later):
    alone = parts(f"gin/language/{later}.gin").language
    for earlier in LANGUAGES:
        assert parts(f"gin/language/{earlier}.gin", f"gin/language/{later}.gin").language == alone


@pytest.mark.parametrize("later", VITS)
def test_nothing_of_another_encoder_stays(later):
    alone = parts(f"gin/vision/{later}.gin").vision
    for earlier in VITS:
        assert parts(f"gin/vision/{earlier}.gin", f"gin/vision/{later}.gin").vision == alone


@pytest.mark.parametrize(("file", "kind"), [("language/defaults", DecoderConfig), ("vision/vit_defaults", ViTConfig)])
def test_defaults_are_those_of_the_class_and_all_of_them(file, kind):
    text = (ROOT / f"gin/{file}.gin").read_text()
    for field in dataclasses.fields(kind):
        assert field.default is dataclasses.MISSING or f"{kind.__name__}.{field.name} = " in text, field.name
    made = parts("gin/language/smollm2_135m.gin", "gin/language/defaults.gin", "gin/vision/clip_vit_l14.gin")
    sizes = {field.name: 2 for field in dataclasses.fields(DecoderConfig) if field.default is dataclasses.MISSING}
    assert dataclasses.replace(made.language, **sizes) == DecoderConfig(**sizes)
    assert made.vision == ViTConfig()


def test_every_preset_of_a_part_is_checked():
    """A gin file that no test reads would rot."""
    text = Path(__file__).read_text() + "".join(path.read_text() for path in (ROOT / "gin/models").iterdir())
    for path in sorted([*(ROOT / "gin/language").iterdir(), *(ROOT / "gin/vision").iterdir()]):
        file = path.relative_to(ROOT).as_posix()
        assert any(name in text for name in (f'"{path.stem}"', f'"{file}"', f'"{file[4:-4]}"')), path
