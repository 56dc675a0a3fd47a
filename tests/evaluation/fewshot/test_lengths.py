"""Prompts that a language model has no positions for are found before anything is asked."""

import dataclasses
import logging

import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS
from flamingo_jax.evaluation.fewshot.asking import Asker
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.lengths import Prompts, check_lengths
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from flamingo_jax.evaluation.fewshot.support import RandomSelection
from flamingo_jax.inference.prompts import tokenize_candidate, tokenize_prompt
from flamingo_jax.models.flamingo import Flamingo
from tests.evaluation.fewshot.test_prompts import write_release

CONFIG = FewShotConfig(shots=(0, 4), seeds=(0, 1), max_items=4, batch_size=4)


def limited(session, positions: str, most: int):
    """The session with another language model; nothing can be asked of it."""
    config = session.model.config
    language = dataclasses.replace(config.language, positions=positions, max_length=most)
    model = Flamingo(dataclasses.replace(config, language=language))
    return dataclasses.replace(session, design=dataclasses.replace(session.design, model=model))


@pytest.mark.parametrize("name", ["hateful_memes", "okvqa"])
def test_the_limit_is_that_of_the_prompts_themselves(name, session, tmp_path, monkeypatch):
    write_release(name, tmp_path)
    benchmark = BENCHMARKS[name]
    split, asked = open_to_ask(benchmark, epath.Path(tmp_path), CONFIG), []
    for method in ("answers", "score_candidates"):
        monkeypatch.setattr(type(session), method, lambda self, prompts, *_, **__: asked.extend(prompts) or 1 / 0)
    select = RandomSelection(len(split.support))
    for shots in (0, 4):
        asked.clear()
        for seed in CONFIG.seeds:
            with pytest.raises(ZeroDivisionError):
                Asker(session, benchmark, split, CONFIG, "random", select).ask(range(4), shots, seed)
        longest = max(len(tokenize_prompt(text, session.tokenizer).tokens) for text, _ in asked)
        candidates = {f" {text}" for query in split.queries for text in query.candidates}
        more = max((len(tokenize_candidate(text, session.tokenizer, True)) for text in candidates), default=0)
        limit = longest + (more or benchmark.max_new_tokens)
        arguments = benchmark, split, CONFIG, [Prompts(shots, CONFIG.seeds, select)], "--shots"
        check_lengths(limited(session, "learned", limit), *arguments)
        with pytest.raises(
            ConfigError, match=f"with {shots} shots .* has {longest} tokens.* for {limit - 1}. Name fewer"
        ):
            check_lengths(limited(session, "learned", limit - 1), *arguments)


def test_nothing_is_asked_if_some_prompts_are_too_long(session, tmp_path):
    write_release("hateful_memes", tmp_path / "release")
    benchmark, output = BENCHMARKS["hateful_memes"], epath.Path(tmp_path) / "out"
    split = open_to_ask(benchmark, epath.Path(tmp_path) / "release", CONFIG)
    with pytest.raises(ConfigError, match=r"with 4 shots .* positions for 200. Name fewer --shots"):
        evaluate_few_shot(limited(session, "learned", 200), "tiny", benchmark, split, CONFIG, output)
    assert not (output / "rows").exists()


def test_other_positions_go_on_with_a_warning(session, tmp_path, caplog):
    write_release("hateful_memes", tmp_path)
    benchmark = BENCHMARKS["hateful_memes"]
    split = open_to_ask(benchmark, epath.Path(tmp_path), CONFIG)
    prompts = [Prompts(4, (0,), RandomSelection(len(split.support)))]
    with caplog.at_level(logging.WARNING):
        check_lengths(limited(session, "rotary", 2048), benchmark, split, CONFIG, prompts, "--shots")
        assert not caplog.messages
        check_lengths(limited(session, "rotary", 200), benchmark, split, CONFIG, prompts, "--shots")
    (message,) = caplog.messages
    assert "with 4 shots" in message and "more than the 200 that the language model was trained with" in message
