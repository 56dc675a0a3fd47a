"""The evidence for answers: each signal from a session whose answers are known."""

import math

import numpy as np
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.evidence import DIRECTIONS, Evidence, EvidenceConfig, evidence_of, gather
from flamingo_jax.evaluation.confidence.ranked import ranked_evidence
from flamingo_jax.inference.candidates import Candidates
from flamingo_jax.inference.decoding import SAMPLE, Decoding
from flamingo_jax.inference.session import Answer

GREEDY = Decoding(max_new_tokens=4)
WORDS = ("car", "automobile", "red", "blue")


class KnownSession:
    """Says the last word of a prompt when it is greedy, and a word that depends on the key alone when it samples."""

    def __init__(self):
        self.asked = []

    def answer(self, prompts, decoding, *, keys=None, blind=False):
        self.asked.append((decoding, keys))
        if decoding.method == SAMPLE:
            return [f"{WORDS[key % 4]}, and so on" for key in keys]
        return [text.split()[-1] for text, _ in prompts]

    def score_candidates(self, prompts, candidates, *, end_of_chunk=True, blind=False):
        assert all("<" not in text.replace("< ", "") for (text,) in candidates)
        return [Candidates(np.array([-8.0 if blind else -2.0 - place]), np.array([4])) for place in range(len(prompts))]


def gathered(session, names=("one", "two"), **more) -> list[Evidence]:
    prompts = [(f"a {name} car", []) for name in names]
    answers = [Answer("car, and so on", 4, -2.0 - place) for place in range(len(prompts))]
    cut = lambda text: text.partition(",")[0]  # noqa: E731
    config = more.pop("config", EvidenceConfig(samples=200))
    return gather(session, prompts, answers, config, decoding=GREEDY, cut=cut, names=names, **more)


def test_each_signal_is_what_it_says():
    session = KnownSession()
    first, second = gathered(session)
    assert (first.likelihood, second.likelihood) == (-0.5, -0.75)
    assert first.image_gain == pytest.approx(-0.5 + 2.0) and second.image_gain == pytest.approx(-0.75 + 2.0)
    assert first.dispersion is None
    ((decoding, keys),) = session.asked
    assert decoding == Decoding(SAMPLE, 4, temperature=1.0, seed=0)
    drawn = np.array(keys[:200]) % 4
    cars = np.mean(drawn < 2)  # two of the words mean a car
    shares = [cars, *(np.mean(drawn == place) for place in (2, 3))]
    assert first.agreement == pytest.approx(cars)
    assert first.entropy == pytest.approx(-sum(share * math.log(share) for share in shares))


def test_samples_are_of_their_own_and_always_the_same():
    """Each has a key of its own, which the company that a prompt is asked in does not change."""
    both, alone, again = KnownSession(), KnownSession(), KnownSession()
    found = gathered(both)
    assert gathered(alone, names=("two",))[0].agreement == found[1].agreement
    gathered(again)
    ((_, keys),), ((_, lone),) = both.asked, alone.asked
    assert len(set(keys)) == 400 and keys[200:] == lone and again.asked == both.asked
    assert min(keys) >= 0 and max(keys) < 2**32
    assert 0.15 < np.mean(np.array(keys) % 4 == 0) < 0.35


def test_dispersion_counts_the_orders_that_answer_otherwise():
    permuted = [[("x car", []), ("x red", []), ("x automobile", [])], [("x red", []), ("x blue", []), ("x dog", [])]]
    first, second = gathered(KnownSession(), permuted=permuted)
    assert first.dispersion == pytest.approx(1 / 4)
    assert second.dispersion == pytest.approx(3 / 4)


def test_tags_in_an_answer_do_no_harm():
    session = KnownSession()
    answers = [Answer("<image>red<EOC>", 3, -1.0)]
    (found,) = gather(session, [("a", [])], answers, EvidenceConfig(samples=1), decoding=GREEDY)
    assert np.isfinite(found.image_gain)


def test_json_keeps_it_and_six_digits():
    evidence = Evidence(-0.123456789, 0.5, 1.0, None, 3.0)
    assert evidence.to_dict()["likelihood"] == -0.123457 and evidence.to_dict()["dispersion"] is None
    assert evidence_of(evidence.to_dict()) == Evidence(-0.123457, 0.5, 1.0, None, 3.0)
    assert {*evidence.to_dict(), "certainty"} == set(DIRECTIONS)


def test_certainty_tells_near_certain_answers_apart():
    """ln of a tenth less doubt is ln 10 more, down to what rounding leaves; the order is that of the likelihoods."""
    first, second, third, sure = (
        Evidence(likelihood, 1.0, 0.0, None, 0.0).certainty for likelihood in (-1.0, -0.1, -0.01, 0.0)
    )
    assert second - first == pytest.approx(math.log(10), abs=0.01)
    assert third - second == pytest.approx(math.log(10), abs=0.02)
    assert sure == pytest.approx(math.log(1e4)) == Evidence(1e-6, 1.0, 0.0, None, 0.0).certainty


@pytest.mark.parametrize("values", [{"samples": 0}, {"permutations": 1.5}, {"temperature": 0.0}, {"seed": -1}], ids=str)
def test_what_cannot_be_gathered_is_refused(values):
    with pytest.raises((ValueError, ConfigError), match=next(iter(values))):
        EvidenceConfig(**values)


def test_of_candidates_it_is_their_distribution():
    """ln of 8:1:1, from another scale of scores; the blind model takes all candidates for alike."""
    scores = np.log([[8.0, 1.0, 1.0]]) - 40
    found = ranked_evidence(scores, np.zeros(3), 1)
    assert found.likelihood == pytest.approx(math.log(0.8))
    assert found.agreement == pytest.approx(0.8)
    assert found.entropy == pytest.approx(-0.8 * math.log(0.8) - 0.2 * math.log(0.1))
    assert found.image_gain == pytest.approx(math.log(0.8) - math.log(1 / 3))
    assert found.dispersion is None


def test_of_candidates_in_several_orders_the_first_are_averaged():
    scores = np.array([[0.0, -1.0], [-3.0, 0.0], [-1.0, 0.0], [0.0, -5.0]])
    one, two = (ranked_evidence(scores, np.zeros(2), averaged) for averaged in (1, 2))
    assert one.dispersion == two.dispersion == 0.5
    assert one.likelihood == pytest.approx(-np.log1p(math.exp(-1)))  # the first candidate's
    assert two.likelihood == pytest.approx(-np.log1p(math.exp(-1)))  # the second's: -1.5 and -0.5 on average


def test_a_candidate_that_cannot_be_leaves_all_finite():
    found = ranked_evidence(np.array([[0.0, -np.inf]]), np.array([-np.inf, 0.0]), 1)
    assert np.isfinite([found.likelihood, found.agreement, found.entropy, found.image_gain]).all()
