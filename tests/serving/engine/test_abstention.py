"""Answers that the rule does not trust are not shown, not even in part."""

import dataclasses
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.confidence.rule import ABSTENTION, FILE
from flamingo_jax.evaluation.model_digest import parameters_digest
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.serving.engine.abstention import open_rule, unusable
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.engine.events import Delta, Done
from flamingo_jax.serving.engine.request import Refused, Request
from tests.serving.fake_session import FakeSession
from tests.serving.rule import RULE


@pytest.fixture
def session():
    return FakeSession()


def told(engine, *requests):
    tickets = [engine.submit(request) for request in requests]
    events = [[*ticket] for ticket in tickets]
    engine.close()
    return events


def test_an_answer_that_is_not_trusted_is_not_shown(session):
    asked = Request("a red star", abstain=True), Request("a red star")
    doubted, shown = told(Engine(session, rule=RULE), *asked)
    delta, done = doubted
    assert delta == Delta(ABSTENTION) and done.abstained and done.finish == "stop" and done.completion_tokens == 4
    assert done.confidence == pytest.approx(1 / (1 + np.exp(5)))
    assert (done.evidence.likelihood, done.evidence.agreement, done.evidence.image_gain) == (-0.5, 1, 0.5)
    assert shown[:-1] == [Delta("a"), Delta(" red"), Delta(" star")] and shown[-1].evidence is None


def test_an_answer_that_is_trusted_comes_whole(session):
    request = Request("a red star here", sampling=Sampling(8), beams=2, abstain=True)
    ((delta, done),) = told(Engine(session, rule=RULE), request)
    assert delta == Delta("a red star here")
    assert isinstance(done, Done) and not done.abstained and done.confidence > 0.9


def test_a_rule_that_cannot_judge_is_refused(session):
    for change, reason in (
        ({"ranked": True}, "for ranked candidates"),
        ({"signals": ("dispersion",)}, "orders of examples"),
    ):
        rule = dataclasses.replace(RULE, **change)
        engine = Engine(session, rule=rule)
        with pytest.raises(Refused, match=reason):
            engine.submit(Request("hi", abstain=True))
        engine.close()
    assert unusable(RULE) == ""


def test_the_rule_of_a_workdir_is_that_of_its_model(tmp_path, caplog):
    session = SimpleNamespace(step=7, params={"a": np.ones(3)})
    assert open_rule(tmp_path, session) is None
    rule = dataclasses.replace(RULE, parameters=parameters_digest(session.params))
    rule.save(tmp_path / FILE)
    assert open_rule(tmp_path, session) == rule
    with caplog.at_level(logging.WARNING):
        assert open_rule(tmp_path, SimpleNamespace(step=8, params=session.params)) is None
    assert "is not used" in caplog.text and "flamingo_jax.abstain" in caplog.text
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(ConfigError, match="fit it anew"):
        open_rule(tmp_path, session)
