"""Every file of gin/ablations: its parameter count moves as the paper's table says, and a small one trains."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax import config
from flamingo_jax.models.flamingo import Flamingo, FlamingoConfig
from flamingo_jax.models.vision.nfnet import NFNetConfig
from flamingo_jax.models.vision.vit import ViTConfig
from flamingo_jax.training.freezing import FROZEN, label, split
from flamingo_jax.training.optimizer import make_optimizer, schedule
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.state import TrainState, abstract_params, flat_shapes
from flamingo_jax.training.step import LossConfig, make_step
from tests import tiny

ROOT = Path(__file__).parents[2]
BASELINE = "gin/runs/ablation_baseline.gin"
# Billions of parameters, the table's column `par`. Its figures have one decimal; "single in the middle" adds up to 2.05
# (1.374 + 0.435 + 0.194 + 0.050), and with NFNet-F0 to 2.84.
BILLIONS = {
    "no_tanh_gating": 3.2,
    "vanilla_cross_attention": 2.4,
    "grafting": 3.3,
    "single_middle": 2.0,
    "every_4th": 2.3,
    "every_2nd": 2.6,
    "resampler_mlp": 3.2,
    "resampler_transformer": 3.2,
    "vision_clip_vit_l14": 3.1,
    "vision_nfnet_f0": 2.9,
    "language_unfrozen_random": 3.2,
    "language_unfrozen_pretrained": 3.2,
    "language_cotrained_random": 3.2,
    "language_cotrained_pretrained": 3.2,
    "resampler_small": 3.1,
    "resampler_large": 3.4,
    "all_previous_images": 3.2,
    "p_next_0": 3.2,
    "p_next_1": 3.2,
    "round_robin": 3.2,
    "vision_unfrozen_random": 3.2,
    "vision_unfrozen_pretrained": 3.2,
}

OTHER_DATA = ("round_robin", "language_cotrained_random", "language_cotrained_pretrained")


def resolve(name: str) -> RunConfig:
    return config.resolve(RunConfig, [f"gin/ablations/{name}.gin" if name in BILLIONS else name], [])


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def size(model: FlamingoConfig) -> int:
    """Parameters of a whole model; its encoder, slow to trace, is counted apart and once."""
    light = dataclasses.replace(tiny.VISION, head_width=model.vision.output_width)
    shapes = flat_shapes(abstract_params(Flamingo(dataclasses.replace(model, vision=light))))
    return tiny.vision_size(model.vision) + sum(
        leaf.size for name, leaf in shapes.items() if "vision_encoder" not in name
    )


def test_every_row_has_its_file():
    assert {path.stem for path in (ROOT / "gin/ablations").glob("*.gin")} == set(BILLIONS)


@pytest.mark.parametrize("name", BILLIONS)
def test_the_count_moves_as_in_the_table(name):
    baseline, row = size(resolve(BASELINE).model) / 1e9, size(resolve(name).model) / 1e9
    assert abs(baseline - 3.2) < 0.05
    assert abs(row - BILLIONS[name]) < 0.07
    moved = BILLIONS[name] - 3.2
    if moved:
        assert np.sign(row - baseline) == np.sign(moved)
        assert abs((row - baseline) - moved) < 0.1
    else:
        assert abs(row - baseline) < 0.01


def shrink(run: RunConfig) -> RunConfig:
    """The same architecture, narrower; as deep where depth is what the file changes."""
    model, heads = run.model, {"num_heads": 2, "head_dim": 8}
    language = {"vocab_size": tiny.LANGUAGE.vocab_size, "width": 32, "num_kv_heads": 2, "hidden_width": 48}
    resampler = {name: value for name, value in heads.items() if hasattr(model.resampler, name)}
    if isinstance(model.vision, NFNetConfig):
        narrow = {"depths": (1,), "widths": (16,), "stem_widths": (4, 4, 8, 8), "group_width": 8}
    else:
        assert isinstance(model.vision, ViTConfig)
        narrow = {"width": 16, "num_layers": 2, "num_heads": 2, "hidden_width": 32}
    vision = dataclasses.replace(model.vision, **narrow)
    if model.vision == resolve(BASELINE).model.vision and not any(label == "vision" for _, label in run.freezing):
        vision = tiny.VISION  # it is not what this file is about, and takes long to compile
    return dataclasses.replace(
        run,
        optimizer=dataclasses.replace(run.optimizer, learning_rate=1e-2, warmup_steps=1),
        model=dataclasses.replace(
            model,
            language=dataclasses.replace(model.language, **(language | heads)),
            vision=vision,
            resampler=dataclasses.replace(model.resampler, width=24, num_latents=4, **resampler),
            cross_attention=dataclasses.replace(model.cross_attention, **heads),
        ),
    )


# They differ from others in sizes, first weights or data alone, or in a module that has tests of its own; each compiles
# a program.
ALIKE = (
    "all_previous_images",
    "p_next_0",
    "p_next_1",
    "resampler_small",
    "resampler_large",
    "every_2nd",
    "every_4th",
    "language_unfrozen_pretrained",
    "vision_unfrozen_pretrained",
    "vision_clip_vit_l14",
    "vision_nfnet_f0",
    "no_tanh_gating",
    "resampler_transformer",
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in ALIKE else name
        for name in BILLIONS
        if name not in OTHER_DATA
    ],
)
def test_a_small_one_trains(name):
    run = shrink(resolve(name))
    model, batch = Flamingo(run.model), tiny.random_batch()
    batch.pop("skipped")
    # What the dataset would say of the images that tokens see.
    batch["image_first"] = run.mixture.datasets[0][1].image_first(batch["image_index"])
    labels = label(flat_shapes(abstract_params(model)), run.freezing)
    params, frozen = split(tiny.init(model), labels)
    optimizer = make_optimizer(run.optimizer, labels, run.steps)
    step = make_step(model, optimizer, schedule(run.optimizer, run.steps), LossConfig({"m3w": 1.0}))
    inputs = TrainState(np.int32(0), params, jax.jit(optimizer.init)(params)), frozen, {"m3w": batch}
    # One update does not pay for an optimized program.
    quick = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    state, metrics = jax.jit(step).lower(*inputs).compile(compiler_options=quick)(*inputs)

    assert np.isfinite(metrics["loss"]) and int(state.step) == 1
    still = [
        jax.tree_util.keystr(path)
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(state.params), strict=True
        )
        if np.array_equal(old, new)
    ]
    assert not still
    trained = {path.split("/")[0] for path, policy in labels.items() if policy != FROZEN}
    assert ("vision_encoder" in trained) == name.startswith("vision_unfrozen")
    assert ("language" in labels.values()) == name.startswith("language_unfrozen")


def test_what_is_trained_on_other_data_is_the_model_of_another_row():
    """Whose small one trains; their data's way into the step has tests of its own."""
    baseline, robin = resolve(BASELINE), resolve("round_robin")
    assert (robin.model, robin.freezing, robin.optimizer) == (baseline.model, baseline.freezing, baseline.optimizer)
    assert (robin.mixture.strategy, robin.mixture.turns) == ("round_robin", {})
    assert robin.mixture.datasets == baseline.mixture.datasets
    # A million gradient computations, as the other rows: one an update instead of one a dataset.
    assert robin.steps == baseline.steps * len(baseline.mixture.datasets) == 1_000_000
    for start, scale in (("random", 1.0), ("pretrained", 0.1)):
        unfrozen, cotrained = resolve(f"language_unfrozen_{start}"), resolve(f"language_cotrained_{start}")
        assert (cotrained.model, cotrained.freezing) == (unfrozen.model, unfrozen.freezing)
        assert cotrained.pretrained == unfrozen.pretrained
        assert cotrained.optimizer.policies["language"].learning_rate_scale == scale
        *others, (name, text) = cotrained.mixture.datasets
        assert tuple(others) == unfrozen.mixture.datasets and name == "massive_text"
        assert (text.weight, text.length, text.images_per_row) == (1.0, 2048, 0)
