"""Streams give what answers give, a few tokens at a time, each prompt in its own way."""

import collections
import dataclasses

import numpy as np
import pytest

from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image
from flamingo_jax.inference import sampling
from flamingo_jax.inference.advancing import Sampling, Tokens
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.prompts import PromptError
from flamingo_jax.inference.session import Session
from flamingo_jax.inference.streaming import Stream
from tests import tiny_run
from tests.data.samples import noise_bytes

NEW = 6


@pytest.fixture(scope="module")
def session(tiny_config, tmp_path_factory) -> Session:
    return tiny_run.seeing_session(tmp_path_factory.mktemp("run"), tiny_config, rows=4)


PICTURES = [Image(noise_bytes(seed, (32, 32), "PNG"), str(seed)) for seed in range(3)]
PROMPTS = [
    ("<image>Output:", PICTURES[:1]),
    ("Hello", []),
    ("<image>Output: a red star.<EOC><image>Output:", PICTURES[1:]),
]


def read(stream: Stream) -> dict[int, list]:
    """The pieces of each prompt."""
    pieces = collections.defaultdict(list)
    for found in stream:
        for piece in found:
            pieces[piece.place].append(piece)
    return pieces


def test_a_stream_says_what_answers_say_whatever_the_others_do(session):
    decoding = Decoding(max_new_tokens=NEW)
    answers = session.answers(PROMPTS, decoding)
    assert len({answer.text for answer in answers}) > 1
    samplings = [Sampling(NEW), Sampling(9, temperature=1.0, seed=5), Sampling(NEW, temperature=0, top_p=0.5)]
    pieces = read(session.stream(PROMPTS, samplings))
    for place in (0, 2):
        answer, last = answers[place], pieces[place][-1]
        assert "".join(piece.text for piece in pieces[place]) == answer.text
        assert (last.tokens, last.log_likelihood) == (answer.tokens, pytest.approx(answer.log_likelihood, abs=1e-4))
        assert all(piece.finish is None for piece in pieces[place][:-1]) and last.finish in ("stop", "length")
    assert pieces[0][0].tokens == 4  # a part of the answer came first
    assert pieces[1][-1].tokens <= 9


def test_samples_depend_on_prompt_and_seed_alone(session):
    """The same draws as `answers`, where a prompt's key is 0; and in other company."""
    sample = Sampling(NEW, temperature=1.3, seed=7)
    alone = read(session.stream(PROMPTS[:1], [sample]))[0]
    text = "".join(piece.text for piece in alone)
    among = read(session.stream(PROMPTS, [sample, Sampling(NEW, temperature=1.0, top_k=3), Sampling(3)]))[0]
    assert "".join(piece.text for piece in among) == text
    same = Decoding("sample", NEW, temperature=1.3, seed=7)
    (answer,) = session.answers(PROMPTS[:1], same, keys=[0])
    assert answer.text == text and answer.tokens == alone[-1].tokens
    others = [read(session.stream(PROMPTS[:1], [dataclasses.replace(sample, seed=seed)]))[0] for seed in range(8, 12)]
    assert any("".join(piece.text for piece in other) != text for other in others)


def test_one_of_the_likeliest_is_the_most_likely(session):
    greedy = session.answer(PROMPTS[:1], Decoding(max_new_tokens=NEW))[0]
    for narrow in (Sampling(NEW, 1.0, top_k=1), Sampling(NEW, 1.0, top_p=1e-6), Sampling(NEW, 1e-3)):
        assert "".join(piece.text for piece in read(session.stream(PROMPTS[:1], [narrow]))[0]) == greedy


def test_rows_are_cut_each_in_its_own_way():
    """As `kept` does it for all alike."""
    logits = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32) * 3
    ways = [(0, 0.6), (5, 1.0), (7, 0.8), (0, 1.0)]
    most, share = (np.asarray(each) for each in zip(*ways, strict=True))
    logits[:, 10:14] = 2.0  # of equals the first are kept
    found = np.asarray(sampling.kept_of_each(logits, most.astype(np.int32), share.astype(np.float32)))
    for row, (top_k, top_p) in enumerate(ways):
        values, places = sampling.kept(logits[row : row + 1], Decoding("sample", top_k=top_k, top_p=top_p))
        wanted = np.full(50, -np.inf, np.float32)
        wanted[np.arange(50) if places is None else np.asarray(places[0])] = np.asarray(values[0])
        np.testing.assert_array_equal(found[row], wanted)


def test_what_nobody_waits_for_ends(session):
    stream = session.stream(PROMPTS, [Sampling(30)] * 3)
    first = next(stream)
    assert [piece.place for piece in first] == [0, 1, 2]
    stream.drop(1)
    assert 1 not in {piece.place for piece in next(stream)}
    stream.drop(0)
    stream.drop(2)
    assert list(stream) == []


def test_blind_streams_see_no_picture(session):
    prompt = [PROMPTS[0]]
    (answer,) = session.answers(prompt, Decoding(max_new_tokens=NEW), blind=True)
    assert "".join(piece.text for piece in read(session.stream(prompt, [Sampling(NEW)], blind=True))[0]) == answer.text


class Letters:
    """A tokenizer of letters."""

    def decode(self, ids):
        return "".join(map(chr, ids))


def stream_of(text: str, sampling: Sampling) -> list:
    """What a stream makes of a model that says `text`, four tokens at a time, each of 1 nat, 0 is `<EOC>`."""
    ids = [0 if letter == "$" else ord(letter) for letter in text]
    parts = iter([ids[start : start + 4] for start in range(0, len(ids), 4)])

    def advance(wanted):
        tokens = np.asarray([(next(parts) + [0] * 4)[:4]])
        return Tokens(tokens, np.full(tokens.shape, -1.0))

    return [piece for pieces in Stream([sampling], Letters(), [0], [0], advance) for piece in pieces]


def test_stop_texts_end_an_answer_and_are_not_shown():
    pieces = stream_of("a cat\nUser: and$", Sampling(40, stops=("\nUser:",)))
    assert "".join(piece.text for piece in pieces) == "a cat"
    assert (pieces[-1].finish, pieces[-1].tokens, pieces[-1].log_likelihood) == ("stop", 11, -11.0)
    assert not any("\n" in piece.text for piece in pieces)
    kept = stream_of("a cat\nUse$", Sampling(40, stops=("\nUser:",)))
    assert "".join(piece.text for piece in kept) == "a cat\nUse"


def test_the_longest_answer_ends_in_the_middle_of_a_step():
    pieces = stream_of("abcdefgh", Sampling(6))
    assert ("".join(piece.text for piece in pieces), pieces[-1].finish, pieces[-1].tokens) == ("abcdef", "length", 6)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("top_p", 0.0),
        ("max_new_tokens", 0),
        ("seed", -1),
        ("stops", ("",)),
    ],
)
def test_what_makes_no_sense_is_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Sampling(**{field: value})


def test_a_stream_is_of_one_batch(session):
    assert session.rows_at_once == 4
    for prompts in ([], PROMPTS * 2):
        with pytest.raises(ValueError, match="takes 1 to 4"):
            session.stream(prompts, [Sampling()] * len(prompts))
    with pytest.raises(PromptError, match="tags"):
        session.stream([("<image>", [])], [Sampling()])
    assert session.check(("Hello", [])) == 1 + len(session.tokenizer.encode("Hello"))
