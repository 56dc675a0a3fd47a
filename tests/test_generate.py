"""The flags of `flamingo_jax.generate` as a way of decoding."""

from types import SimpleNamespace

import pytest
from absl import flags
from absl.testing import flagsaver

from flamingo_jax import generate
from flamingo_jax.config import ConfigError
from flamingo_jax.inference.decoding import Decoding


@pytest.mark.parametrize(
    ("given", "decoding"),
    [
        ([], Decoding()),
        (["--method=beam", "--max_new_tokens=9"], Decoding("beam", 9)),
        (["--method=beam", "--beams=5", "--length_penalty=-0.5"], Decoding("beam", beams=5, length_penalty=-0.5)),
        (
            ["--method=sample", "--temperature=0.7", "--top_k=4", "--top_p=0.9", "--seed=3"],
            Decoding("sample", temperature=0.7, top_k=4, top_p=0.9, seed=3),
        ),
    ],
)
def test_flags_are_a_way_of_decoding(given, decoding, monkeypatch, capsys):
    asked = []

    def answer(prompts, decoding):
        asked.append((prompts, decoding))
        return ["a star"]

    monkeypatch.setattr(generate.Session, "open", lambda workdir: SimpleNamespace(answer=answer))
    with flagsaver.flagsaver():
        flags.FLAGS(["generate", "--workdir=somewhere", "--prompt=Hello", *given])
        generate.main()
    assert asked == [([("Hello", [])], decoding)]
    assert capsys.readouterr().out == "a star\n"


def test_a_flag_of_another_method_is_refused_before_anything_is_read():
    with flagsaver.flagsaver():
        flags.FLAGS(["generate", "--workdir=/nowhere", "--seed=3"])
        with pytest.raises(ConfigError, match=r"seed = 3 is for method 'sample', and Decoding.method is 'greedy'"):
            generate.main()
