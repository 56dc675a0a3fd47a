"""Clips are shown as clips, whatever the model was trained on."""

import dataclasses
import json

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.data.pairs import PairsConfig, VideoConfig
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.frames import clip_facts, with_frames
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from tests.evaluation.fewshot.test_prompts import write_release

CONFIG = FewShotConfig(shots=(0,), seeds=(0,), max_items=2, batch_size=2)
STILLS = PairsConfig(path="", batch_size=1, image_size=32)


def opened(name, folder):
    write_release(name, folder)
    return open_to_ask(BENCHMARKS[name], epath.Path(folder), CONFIG)


def test_models_of_stills_see_clips_as_the_papers_do(tmp_path):
    clips, stills = opened("msvd_qa", tmp_path / "clips"), opened("hateful_memes", tmp_path / "stills")
    shown = with_frames(STILLS, clips)
    assert (shown.num_frames, shown.frame_rate) == (30, 3.0)
    assert clip_facts(shown, clips) == {"clips": {"frames": 30, "frame_rate": 3.0}}
    assert with_frames(STILLS, stills) is STILLS and clip_facts(STILLS, stills) == {}
    for frames in (1, 4):  # the mixture says so
        pixels = VideoConfig(path="", batch_size=1, inference_frames=frames).at_inference
        assert with_frames(pixels, clips) is pixels


def test_frames_are_among_the_settings(session, tmp_path):
    """Folders from before they were written down go on, if their clips were shown alike."""
    split, output = opened("msvd_qa", tmp_path / "release"), epath.Path(tmp_path) / "out"
    benchmark = dataclasses.replace(BENCHMARKS["msvd_qa"], max_new_tokens=2)
    arguments = "tiny", benchmark, split, CONFIG, output
    summary = evaluate_few_shot(session, *arguments)
    path = output / "settings.json"
    settings = json.loads(path.read_text())
    frames = {"frames": session.pixels.num_frames, "frame_rate": session.pixels.frame_rate}
    assert summary["clips"] == settings.pop("clips") == frames
    path.write_text(json.dumps(settings))
    assert evaluate_few_shot(session, *arguments) == summary
    stills = dataclasses.replace(STILLS, image_size=session.pixels.image_size)
    with pytest.raises(ConfigError, match=r"other settings \(clips .*'frames': 1,.* now .*'frames': 30"):
        evaluate_few_shot(dataclasses.replace(session, pixels=stills), *arguments)
