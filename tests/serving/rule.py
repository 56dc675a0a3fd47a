"""A rule of abstention for sessions without a model."""

from flamingo_jax.evaluation.confidence.evidence import EvidenceConfig
from flamingo_jax.evaluation.confidence.rule import AbstentionRule

RULE = AbstentionRule(
    signals=("likelihood",),
    means=(-0.45,),
    scales=(0.01,),
    weights=(1.0,),
    bias=0.0,
    threshold=0.5,
    risk=0.1,
    delta=0.1,
    ranked=False,
    gathering=EvidenceConfig(samples=3),
    step=7,
    parameters="",
)
"""Trusts more than -0.45 nats a token: a `FakeSession` gives answers -0.5, but -0.4 to four words found with beams."""
