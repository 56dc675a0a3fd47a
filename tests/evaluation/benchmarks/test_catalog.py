"""The catalog: the paper's benchmarks, by name."""

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, find

DEV = {
    "coco": 5000,
    "vqav2": 1024,
    "okvqa": 1024,
    "vatex": 1024,
    "msvd_qa": 1024,
    "imagenet": 10000,
    "kinetics700": 7000,
}
PAPER = (
    *("coco", "vqav2", "okvqa", "flickr30k", "vizwiz", "textvqa", "visdial", "hateful_memes"),
    *("vatex", "msvd_qa", "youcook2", "msrvtt_qa", "ivqa", "rareact", "next_qa", "star"),
    *("imagenet", "kinetics700"),
)
EMBEDDED = ("embedded_web_captions", "embedded_web_questions")


def test_the_sixteen_benchmarks_and_the_two_classification_sets_are_there():
    drawn = {name for name, benchmark in BENCHMARKS.items() if benchmark.write is not None}
    assert "answerability" in drawn
    assert set(BENCHMARKS) == {*PAPER, *EMBEDDED, *drawn}


@pytest.mark.parametrize("name", PAPER)
def test_every_benchmark_can_be_asked_about(name):
    benchmark = find(name)
    assert benchmark.name == name
    assert benchmark.query_split in benchmark.files
    assert benchmark.support_split in benchmark.files or not benchmark.max_shots
    assert benchmark.dev_queries == DEV.get(name, 0)
    assert all(benchmark.files.values())


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match=r"no benchmark 'cocoo'; choose of .*coco, .*vqav2"):
        find("cocoo")
