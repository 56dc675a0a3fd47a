"""The benchmarks by name: the paper's sixteen and its two classification sets, and those on drawn pictures."""

from collections.abc import Mapping
from types import MappingProxyType

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks import (
    answerability,
    coco,
    embedded_web,
    flickr30k,
    hateful_memes,
    imagenet,
    ivqa,
    kinetics700,
    msrvtt_qa,
    msvd_qa,
    next_qa,
    okvqa,
    rareact,
    star,
    textvqa,
    vatex,
    visdial,
    vizwiz,
    vqav2,
    youcook2,
)
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.probes import absent_objects, misleading, stroop, ungrounded

_ALL = (
    coco.BENCHMARK,
    vqav2.BENCHMARK,
    okvqa.BENCHMARK,
    flickr30k.BENCHMARK,
    vizwiz.BENCHMARK,
    textvqa.BENCHMARK,
    visdial.BENCHMARK,
    hateful_memes.BENCHMARK,
    vatex.BENCHMARK,
    msvd_qa.BENCHMARK,
    youcook2.BENCHMARK,
    msrvtt_qa.BENCHMARK,
    ivqa.BENCHMARK,
    rareact.BENCHMARK,
    next_qa.BENCHMARK,
    star.BENCHMARK,
    imagenet.BENCHMARK,
    kinetics700.BENCHMARK,
    embedded_web.CAPTIONS,
    embedded_web.QUESTIONS,
    answerability.BENCHMARK,
    stroop.BENCHMARK,
    absent_objects.BENCHMARK,
    misleading.BENCHMARK,
    ungrounded.BENCHMARK,
)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({benchmark.name: benchmark for benchmark in _ALL})
"""In the order of the paper's table of benchmarks."""


def find(name: str) -> Benchmark:
    """The benchmark of this name.

    Raises:
      ConfigError: there is none; the message lists those that there are.
    """
    if name not in BENCHMARKS:
        raise ConfigError(f"there is no benchmark {name!r}; choose of {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]
