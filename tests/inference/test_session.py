"""A session: prompts of all sorts in any order and company, candidates, media; and a run of other machines."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from flax import linen as nn

from flamingo_jax import config as config_lib
from flamingo_jax.config import ConfigError
from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.interleaved import InterleavedConfig
from flamingo_jax.data.mixture import MixtureConfig
from flamingo_jax.data.pairs import PairsConfig
from flamingo_jax.data.text import TextConfig
from flamingo_jax.inference import programs as programs_lib
from flamingo_jax.inference import session as session_lib
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.machine import mesh_of
from flamingo_jax.inference.programs import Programs
from flamingo_jax.inference.prompts import PromptError, prompt_batch, tokenize_prompt
from flamingo_jax.inference.session import Session, trained_pixels
from flamingo_jax.parallel.mesh import MeshConfig, fits
from flamingo_jax.training.design import Design
from flamingo_jax.training.run import RunConfig
from flamingo_jax.training.step import model_inputs
from tests import tiny, tiny_run
from tests.data.samples import clip_bytes, noise_bytes

NEW = 5


@pytest.fixture(scope="module")
def session(tiny_config, tmp_path_factory) -> Session:
    opened = tiny_run.seeing_session(tmp_path_factory.mktemp("run"), tiny_config, rows=2)
    assert opened.step == 0 and opened.run == tiny_config
    return opened


def picture(seed: int) -> Image:
    return Image(noise_bytes(seed, (32, 32), "PNG"), str(seed))


PICTURES = [picture(seed) for seed in range(4)]
PROMPTS = [
    ("<image>Output:", [PICTURES[0]]),
    ("Hello", []),
    ("<image>Output: a red star.<EOC><image>Output: a blue ring.<EOC><image>Output:", PICTURES[:3]),
    ("<image>Output:", [PICTURES[3]]),
    ("<image>Q: what?<EOC><image>A:", PICTURES[1:3]),
]


@pytest.fixture(scope="module")
def answers(session) -> list[str]:
    return session.answer(PROMPTS, Decoding(max_new_tokens=NEW))


def test_batches_and_devices_of_training_do_not_matter(session, tmp_path):
    """A batch that does not divide, and a mesh of devices that are not here."""
    workdir, run = tmp_path / "run", session.run
    tiny_run.save_first(workdir, run)
    name, _ = run.mixture.datasets[0]
    odd = dataclasses.replace(run, mesh=MeshConfig(data=2, fsdp=2), microbatches={name: 64})
    (workdir / "config.json").write_text(config_lib.to_json(odd))
    assert Session.open(workdir).design.mesh.size == 1
    with pytest.raises(ConfigError, match="does not fit 1 devices"):
        Design.make(odd)
    with pytest.raises(ConfigError, match=r"rows of a batch.* 64 microbatches"):
        Design.make(dataclasses.replace(odd, mesh=run.mesh))


@pytest.mark.parametrize(
    "sizes, devices, expected",
    [
        ({"data": 4}, 4, {"data": 4}),
        ({"data": -1, "fsdp": 2}, 4, {"data": -1, "fsdp": 2}),
        ({"data": 2}, 4, {"data": -1}),
        ({"replica": 2, "data": 2, "fsdp": 2}, 4, {"data": -1, "fsdp": 2}),
        ({"data": 4, "fsdp": 16, "tensor": 4}, 8, {"data": 1, "fsdp": -1, "tensor": 4}),
        ({"fsdp": -1, "tensor": 8}, 3, {"data": 1, "fsdp": -1}),
    ],
)
def test_a_mesh_becomes_that_of_the_devices_here(sizes, devices, expected):
    found = mesh_of(MeshConfig(**{"data": 1} | sizes), devices)
    assert found == MeshConfig(**{"data": 1} | expected) and fits(found, devices)


def test_losses_of_any_number_of_rows_are_found_on_the_mesh(session, monkeypatch):
    seen = []

    def compiled(programs, what):
        return lambda params, batch: seen.append((nn.get_logical_axis_rules(), len(batch["tokens"]))) or batch["tokens"]

    monkeypatch.setattr(programs_lib, "_compiled", compiled)
    monkeypatch.setattr(Programs, "parts", 2)
    prompts = [tokenize_prompt(text, session.tokenizer) for text in "abc"]
    batch = prompt_batch(prompts, session.tokenizer, session.pixels)
    np.testing.assert_array_equal(session.losses(batch), batch["tokens"])
    assert seen == [(session.run.mesh.rules, 4)]


def test_features_of_any_number_on_any_number_of_devices(session, monkeypatch):
    """Two devices share the batch of five."""
    alone = session.pooled_features(PICTURES, 5, 1)
    monkeypatch.setattr(Programs, "parts", 2)
    np.testing.assert_allclose(session.pooled_features(PICTURES + PICTURES[:1], 5, 1)[:4], alone, rtol=1e-5, atol=1e-6)


def test_the_company_of_a_prompt_does_not_matter(session, answers):
    assert len(set(answers)) > 2
    order = [4, 0, 3, 1, 2]
    other = session.answer([PROMPTS[place] for place in order], Decoding(max_new_tokens=NEW))
    assert other == [answers[place] for place in order]
    assert session.answer([], Decoding()) == []


def test_answers_are_those_of_the_whole_model(session, answers):
    """Token by token, from scratch."""
    text, media = PROMPTS[4]
    row, said = tokenize_prompt(text, session.tokenizer), []
    tokens, index = list(row.tokens), list(row.image_index)
    blocks = np.stack([medium.tokens for medium in session.encode_media(media)])
    for _ in range(NEW):
        batch = prompt_batch([type(row)(tokens, index)], session.tokenizer, session.pixels, 40)
        logits = tiny.forward(session.model)(
            {"params": session.params}, **batch, images=None, frame_mask=None, media=blocks.reshape(1, -1, 32)
        )
        said.append(int(np.argmax(logits[0, -1])))
        tokens, index = [*tokens, said[-1]], [*index, index[-1]]
    assert answers[4] == session.tokenizer.decode(said).strip()


def test_media_are_encoded_once_or_given_as_visual_tokens(session, answers, monkeypatch):
    fresh, counts, encode = dataclasses.replace(session), [], Programs.encode

    def counting(self, params, images, mask):
        counts.append(len(images))
        return encode(self, params, images, mask)

    monkeypatch.setattr(Programs, "encode", counting)
    known = fresh.encode_media(PICTURES)
    assert counts == [4]
    given = [(text, [known[PICTURES.index(medium)] for medium in media]) for text, media in PROMPTS]
    assert fresh.answer(given, Decoding(max_new_tokens=NEW)) == answers
    assert fresh.answer(PROMPTS, Decoding(max_new_tokens=NEW)) == answers
    assert counts == [4]


def test_the_blind_see_tags_alone(session, answers):
    blind = session.answer(PROMPTS, Decoding(max_new_tokens=NEW), blind=True)
    assert blind[0] == blind[3] and blind[1] == answers[1]
    assert blind[0] != answers[0] or blind[3] != answers[3]


@pytest.mark.slow
def test_beams_and_samples(session):
    beam = session.answer(PROMPTS[:2], Decoding("beam", NEW, beams=2))
    assert len(beam) == 2
    sample = Decoding("sample", NEW, temperature=2.0)
    one = session.answer(PROMPTS[:2], sample)
    assert one == session.answer(PROMPTS[:2], sample)
    assert one != session.answer(PROMPTS[:2], dataclasses.replace(sample, seed=1))
    assert session.answer(PROMPTS[1::-1], sample, keys=[1, 0]) == one[::-1]


def scores_from_scratch(session: Session, prompt: tuple, candidate: str, end: bool) -> float:
    row = tokenize_prompt(prompt[0], session.tokenizer)
    more = [*session.tokenizer.encode(candidate), *([session.tokenizer.eoc_id] if end else [])]
    whole = type(row)([*row.tokens, *more], [*row.image_index, *row.image_index[-1:] * len(more)])
    batch = prompt_batch([whole], session.tokenizer, session.pixels, 128)
    media = np.zeros((1, 3, 4, 32), np.float32)
    for place, medium in enumerate(session.encode_media(prompt[1])):
        media[0, place] = medium.tokens
    inputs = model_inputs(batch | {"media": media.reshape(1, 12, 32)})
    losses = session.model.apply({"params": session.params}, **inputs, loss_chunk=0)
    return -float(np.asarray(losses)[0, -len(more) :].sum())


@pytest.mark.slow
def test_candidates_score_as_whole_rows(session):
    names = ["cat", "cat fish", "a", "something longer than these"]
    found = session.score_candidates(PROMPTS, names)
    for prompt, scores in zip(PROMPTS, found, strict=True):
        assert scores.counts.tolist() == [len(name) + 1 for name in names]
        expected = [scores_from_scratch(session, prompt, name, True) for name in names]
        np.testing.assert_allclose(scores.log_likelihoods, expected, rtol=1e-5)


@pytest.mark.slow
def test_without_its_end_a_candidate_is_no_less_likely_than_what_begins_with_it(session):
    lists = [["cat", "cat fish"], ["a"], ["one", "two", "three"]]
    prompts = PROMPTS[:3]
    (first, second, third) = session.score_candidates(prompts, lists, end_of_chunk=False)
    assert first.log_likelihoods[0] >= first.log_likelihoods[1]
    assert [len(scores.counts) for scores in (first, second, third)] == [2, 1, 3]
    expected = scores_from_scratch(session, prompts[2], "three", False)
    assert third.log_likelihoods[2] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("candidates", [[], [["a"]], [["a"], []]])
def test_each_prompt_needs_candidates(session, candidates):
    with pytest.raises(PromptError, match="lists of candidates for 2 prompts"):
        session.score_candidates(PROMPTS[:2], candidates)


@pytest.mark.slow
def test_thirty_two_shots_and_clips_of_thirty_frames(session):
    shots = [PICTURES[place % 4] for place in range(32)]
    clip = Video(clip_bytes(seconds=10), "a clip")
    texts = ["<image>x<EOC>" * 32 + "<image>Output:", "<image>Output:"]
    found = session.answer([(texts[0], [*shots, PICTURES[0]]), (texts[1], [clip])], Decoding(max_new_tokens=2))
    assert len(found) == 2
    assert session.pixels.num_frames == 30
    with pytest.raises(PromptError, match="33 <image> tags and 32 images"):
        session.answer([(texts[0], shots)])


def test_a_prompt_too_long_for_learned_positions_is_refused(session, tiny_config):
    language = dataclasses.replace(tiny_config.model.language, positions="learned", max_length=20)
    design = dataclasses.replace(session.design, model=type(session.model)(tiny.config(language=language)))
    with pytest.raises(PromptError, match=r"has 6 tokens, and up to 15 follow: .* has positions for 20"):
        dataclasses.replace(session, design=design).answer([("Hello", [])], Decoding(max_new_tokens=15))


def mixture(*datasets) -> MixtureConfig:
    return SimpleNamespace(datasets=[(str(place), each) for place, each in enumerate(datasets)])


def test_datasets_of_text_do_not_tell_how_images_are_prepared():
    shape = {"path": "", "batch_size": 4, "image_size": 224, "pad_value": (1, 2, 3)}
    text, pages = TextConfig(path="", batch_size=4), InterleavedConfig(**shape, images_seen="all")
    assert trained_pixels(mixture(text, pages)) == pages


def test_packed_pairs_do_not_tell_what_a_token_sees():
    """Eight images a row, but one a document: fewer than the five of a page."""
    shape = {"path": "", "batch_size": 4, "image_size": 224}
    pairs = PairsConfig(**shape, documents_per_row=8, length=256)
    pages = InterleavedConfig(**shape, images_seen="all")
    assert trained_pixels(mixture(pairs, pages)).images_seen == "all"
    assert trained_pixels(mixture(pages, pairs)).images_seen == "all"


def test_a_run_with_the_kernel_of_other_devices_answers_but_does_not_train(monkeypatch, tmp_path):
    run = RunConfig(tiny.config(attention="flash"), None, SimpleNamespace(datasets=(), strategy="all"), None)
    with pytest.raises(ConfigError, match=r"FlamingoConfig.attention = 'flash' does not run on cpu devices: set 'xla'"):
        Design.make(run)

    class Opened(Exception):
        pass

    def tokenizer(run):
        raise Opened(run.model.attention)

    monkeypatch.setattr(session_lib, "read_run", lambda *_: run)
    monkeypatch.setattr(session_lib, "run_tokenizer", tokenizer)
    with pytest.raises(Opened, match="xla"):
        Session.open(tmp_path)
