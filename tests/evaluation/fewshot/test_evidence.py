"""Evaluations with the evidence for each answer, by a tiny model."""

import dataclasses
import json

import numpy as np
import pytest
from etils import epath

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.catalog import find
from flamingo_jax.evaluation.confidence.evidence import EvidenceConfig
from flamingo_jax.evaluation.fewshot.asking import Asker
from flamingo_jax.evaluation.fewshot.config import FewShotConfig
from flamingo_jax.evaluation.fewshot.opening import open_to_ask
from flamingo_jax.evaluation.fewshot.run import evaluate_few_shot
from flamingo_jax.inference.decoding import Decoding
from tests.evaluation.fewshot.test_prompts import write_release

GATHERING = EvidenceConfig(samples=2, permutations=3)
CONFIG = FewShotConfig(
    shots=(2,), seeds=(0,), max_items=4, batch_size=2, decoding=Decoding(max_new_tokens=3), confidence=GATHERING
)


def rows_of(output) -> list[dict]:
    return [json.loads(line) for line in (output / "rows" / "random-2-0.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def asked(session, tmp_path_factory):
    """The folder of an evaluation of the tiny model."""
    folder = epath.Path(tmp_path_factory.mktemp("answerability"))
    benchmark = find("answerability")
    split = open_to_ask(benchmark, folder / "drawn", CONFIG)
    evaluate_few_shot(session, "tiny", benchmark, split, CONFIG, folder / "out")
    return folder


@pytest.mark.slow
def test_written_answers_have_the_evidence_of_their_prompts(session, asked):
    """Likelihood and gain are those of the answer asked about by itself; every signal is in its range."""
    benchmark = find("answerability")
    split = open_to_ask(benchmark, asked / "drawn", CONFIG)
    support = {item.key: item for item in split.support}
    for row, query in zip(rows_of(asked / "out"), split.queries, strict=True):
        found, media = row["evidence"], [support[key].medium.load() for key in row["support"]]
        prompt = (row["prompt"], [*media, query.medium.load()])
        (answer,) = session.answers([prompt], CONFIG.decoding)
        assert found["likelihood"] == pytest.approx(answer.log_likelihood / answer.tokens, rel=1e-3)
        spoken = [f" {answer.text.replace('<', '< ')}"]
        seen, unseen = (session.score_candidates([prompt], spoken, blind=blind)[0].means[0] for blind in (False, True))
        assert found["image_gain"] == pytest.approx(seen - unseen, abs=1e-3)
        assert found["agreement"] in (0, 0.5, 1) and found["dispersion"] in (0, 0.333333, 0.666667)
        assert 0 <= found["entropy"] <= np.log(2) + 1e-6
        assert row["kind"] == query.details["kind"]


@pytest.mark.slow
def test_asked_again_the_evidence_is_the_same(session, asked, tmp_path):
    """Byte for byte: samples depend on the question alone."""
    rows = asked / "out" / "rows" / "random-2-0.jsonl"
    before = rows.read_bytes()
    output = epath.Path(tmp_path) / "out"
    split = open_to_ask(find("answerability"), asked / "drawn", CONFIG)
    evaluate_few_shot(session, "tiny", find("answerability"), split, CONFIG, output)
    assert (output / "rows" / "random-2-0.jsonl").read_bytes() == before


@pytest.mark.slow
def test_evidence_is_one_of_the_settings(session, asked):
    benchmark = find("answerability")
    split = open_to_ask(benchmark, asked / "drawn", CONFIG)
    for other in (None, EvidenceConfig(samples=3, permutations=3)):
        with pytest.raises(ConfigError, match=r"other settings \(confidence"):
            config = dataclasses.replace(CONFIG, confidence=other)
            evaluate_few_shot(session, "tiny", benchmark, split, config, asked / "out")


def test_ranked_answers_have_the_evidence_of_their_scores(session, tmp_path):
    """And the same scores as without it: only the first of the orders are averaged."""
    write_release("hateful_memes", tmp_path)
    benchmark = find("hateful_memes")
    plain = FewShotConfig(shots=(2,), seeds=(0,), max_items=2, batch_size=2)
    sure = dataclasses.replace(plain, confidence=GATHERING)
    split = open_to_ask(benchmark, epath.Path(tmp_path), sure)
    select = lambda query, place, count, seed: [0, 1]  # noqa: E731
    bare, found, unseen = (
        Asker(session, benchmark, split, config, "random", select, blind).ask(range(2), 2, 0)
        for config, blind in ((plain, False), (sure, False), (sure, True))
    )
    for one, row, blind in zip(bare, found, unseen, strict=True):
        np.testing.assert_allclose(row["scores"], one["scores"], rtol=1e-4)
        assert "evidence" not in one and "evidence" not in blind
        shares, dark = (np.array(each["scores"]) - np.logaddexp.reduce(each["scores"]) for each in (row, blind))
        best = int(np.argmax(row["scores"]))
        assert row["evidence"]["likelihood"] == pytest.approx(shares[best], abs=1e-4)
        assert row["evidence"]["image_gain"] == pytest.approx(shares[best] - dark[best], abs=1e-4)
        assert row["evidence"]["dispersion"] in (0, 0.333333)
