"""What a way of decoding may be, and what is refused."""

import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.inference.decoding import Decoding


def test_the_ways_there_are():
    assert Decoding().method == "greedy"
    assert Decoding("beam") == Decoding("beam", beams=3, length_penalty=0.0)  # the paper's beams
    Decoding("sample", 5, temperature=0.7, top_k=5, top_p=0.9, seed=2**32 - 1)
    Decoding("beam", beams=1, length_penalty=-2, patient=True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"method": "best"}, "it is 'greedy', 'sample', 'beam'"),
        ({"max_new_tokens": 0}, "max_new_tokens must be a whole number, 1 or more; got 0"),
        ({"max_new_tokens": 2.5}, "max_new_tokens must be a whole number"),
        ({"method": "beam", "beams": 0}, "beams must be a whole number, 1 or more"),
        ({"method": "beam", "length_penalty": float("nan")}, "length_penalty must be a finite number"),
        ({"method": "sample", "temperature": 0.0}, "set Decoding.method to 'greedy'"),
        ({"method": "sample", "temperature": float("inf")}, "temperature must be positive"),
        ({"method": "sample", "top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"method": "sample", "top_p": 1.5}, "top_p must be above 0"),
        ({"method": "sample", "top_k": -1}, "top_k must be a whole number, 0 or more"),
        ({"method": "sample", "seed": 2**32}, "seed must be a whole number, 0 to 4294967295"),
        ({"temperature": 0.5}, "temperature = 0.5 is for method 'sample', and Decoding.method is 'greedy'"),
        ({"method": "beam", "seed": 1}, "seed = 1 is for method 'sample'"),
        ({"method": "sample", "length_penalty": 1.0}, "length_penalty = 1.0 is for method 'beam'"),
        ({"beams": 5}, "beams = 5 is for method 'beam'"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, says):
    with pytest.raises(ConfigError, match=says):
        Decoding(**fields)
