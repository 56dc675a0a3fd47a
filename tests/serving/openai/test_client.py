"""OpenAI's own client gets answers, streamed and not, and errors as it knows them."""

import dataclasses

import openai
import pytest

from flamingo_jax.evaluation.confidence.rule import ABSTENTION
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.buckets import bucket
from flamingo_jax.serving.dialogue.style import DIALOGUE, QUESTIONS
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.errors import ApiError
from flamingo_jax.serving.openai.parameters import read_parameters
from tests.data.samples import clip_bytes, picture_bytes
from tests.serving.fake_session import FakeSession
from tests.serving.openai.running import MODEL, data_url, picture_part, running
from tests.serving.rule import RULE

UNSTOPPED = dataclasses.replace(QUESTIONS, stops=())


@pytest.fixture(scope="module")
def session():
    return FakeSession()


@pytest.fixture(scope="module")
def client(session):
    with running(Engine(session)) as port:
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)


def user(content) -> list[dict]:
    return [{"role": "user", "content": content}]


# The style of questions writes the text between "Question:" and "Answer:"; the session repeats all of it, up to a stop
# text of the style.


def test_a_text_is_answered(client):
    answer = client.chat.completions.create(model=MODEL, messages=user("what is it"), max_tokens=3)
    choice = answer.choices[0]
    assert (choice.message.content, choice.message.role) == ("Question: what is", "assistant")
    assert choice.finish_reason == "length" and answer.model == MODEL and answer.object == "chat.completion"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (5, 3, 8)
    assert answer.flamingo["log_likelihood"] == -1.5 and not answer.flamingo["abstained"]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_of_the_web_are_seen(client, kind):
    parts = [picture_part(data_url(picture_bytes(fmt=kind))), {"type": "text", "text": "what is it"}]
    answer = client.chat.completions.create(model=MODEL, messages=user(parts), max_completion_tokens=1)
    assert answer.choices[0].message.content == "<image>Question:"
    assert answer.usage.prompt_tokens == 6  # the picture counts as one here


@pytest.mark.parametrize("field", ["image_url", "video_url"])
def test_a_clip_is_seen(client, field):
    part = {"type": field, field: {"url": data_url(clip_bytes(1), "video/mp4")}}
    answer = client.chat.completions.create(model=MODEL, messages=user([part]), max_tokens=1)
    assert answer.usage.prompt_tokens == 2


def test_a_stream_has_the_same_answer_in_pieces(client):
    asked = {"model": MODEL, "messages": user([picture_part(), {"type": "text", "text": "what is it"}])}
    whole = client.chat.completions.create(**asked, max_tokens=4)
    chunks = [
        *client.chat.completions.create(**asked, max_tokens=4, stream=True, stream_options={"include_usage": True})
    ]
    *pieces, last, usage = chunks
    assert [chunk.choices[0].delta.content for chunk in pieces] == ["", "<image>Question:", " what", " is", " it"]
    assert pieces[0].choices[0].delta.role == "assistant"
    assert last.choices[0].finish_reason == "length" and last.flamingo["dropped_turns"] == 0
    assert usage.choices == [] and usage.usage == whole.usage
    assert "".join(chunk.choices[0].delta.content for chunk in pieces) == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_has_no_usage_unless_it_is_asked_for(client):
    chunks = [*client.chat.completions.create(model=MODEL, messages=user("hi"), stream=True)]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_the_clients_helper_for_streams_works(client):
    with client.chat.completions.stream(model=MODEL, messages=user("what is it")) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "Question: what is it Answer:"


def test_stop_texts_end_an_answer_also_those_of_the_style(client, session):
    answer = client.chat.completions.create(model=MODEL, messages=user("a b"), stop=["b"], extra_body={"beams": 2})
    assert answer.choices[0].message.content == "" and session.searches  # "Question:" is a stop text of the style
    assert answer.choices[0].finish_reason == "stop"


def test_a_conversation_and_what_the_system_says_go_into_the_prompt():
    asked = []

    class Listening(FakeSession):
        def stream(self, prompts, samplings, **how):
            asked.extend(zip(prompts, samplings, strict=True))
            return super().stream(prompts, samplings, **how)

    messages = [
        {"role": "system", "content": "Be brief. <image>"},
        {"role": "user", "content": [picture_part(), {"type": "text", "text": "what?"}]},
        {"role": "assistant", "content": "a star"},
        *user("which colour?"),
    ]
    with running(Engine(Listening()), ServerConfig(MODEL, DIALOGUE)) as port:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
        client.chat.completions.create(
            model=MODEL, messages=messages, temperature=0.5, top_p=0.9, seed=-1, stop="end", max_tokens=7, user="me"
        )
    (((text, media), sampling),) = asked
    opening, _, turns = text.partition("Be brief. < image>\n")
    assert opening == DIALOGUE.opening
    assert turns == "User: <image>what?\nFlamingo: a star<EOC>User: which colour?\nFlamingo:"
    assert media[0].encoded == picture_bytes()
    assert (sampling.temperature, sampling.top_p, sampling.seed) == (0.5, 0.9, 2**32 - 1)
    assert sampling.stops == ("end", *DIALOGUE.stops) and sampling.max_new_tokens == 7


def test_a_client_is_told_why_the_model_says_that_it_does_not_know():
    asked = {"model": MODEL, "messages": user("a red star"), "extra_body": {"abstain": True}}
    with running(Engine(FakeSession(), rule=RULE), ServerConfig(MODEL, UNSTOPPED)) as port:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
        whole = client.chat.completions.create(**asked)
        *_, last = chunks = [*client.chat.completions.create(**asked, stream=True)]
        plain = client.chat.completions.create(**asked | {"extra_body": {"abstain": False}})
    assert whole.choices[0].message.content == ABSTENTION
    assert [chunk.choices[0].delta.content for chunk in chunks] == ["", ABSTENTION, None]
    assert whole.flamingo == last.flamingo and whole.flamingo["abstained"] and whole.flamingo["confidence"] < 0.5
    assert whole.flamingo["evidence"]["likelihood"] == -0.5 and whole.flamingo["evidence"]["dispersion"] is None
    assert not plain.flamingo["abstained"] and plain.flamingo["evidence"] is None


@pytest.mark.parametrize(
    "given, temperature, top_p",
    [({"top_p": 0}, 0, 1), ({"top_p": 0.0, "temperature": 2}, 0, 1), ({"top_p": 0.1}, 0.7, 0.1), ({}, 0.7, 1)],
)
def test_the_likeliest_answer_is_what_no_share_of_the_probability_leaves(given, temperature, top_p):
    fields = {"model": MODEL, "temperature": 0.7, "seed": 3, "top_k": 5, "stop": "x", "max_tokens": 9} | given
    sampling = read_parameters(fields, MODEL, usual_tokens=64, most_tokens=512).sampling
    assert sampling == Sampling(9, temperature, top_k=5, top_p=top_p, seed=3, stops=("x",))


@pytest.mark.parametrize("more", [{"beams": 2}, {"abstain": True}])
def test_searches_and_samples_are_of_few_lengths_each_a_program_of_its_own(more):
    taken = []
    for tokens in range(1, 301):
        try:
            read_parameters({"model": MODEL, "max_tokens": tokens} | more, MODEL, usual_tokens=50, most_tokens=300)
            taken.append(tokens)
        except ApiError as error:
            assert error.param == "max_tokens" and f"and not {tokens}:" in error.message
            assert error.message.endswith(f"the next is {min(bucket(tokens), 300)}")
    assert taken == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 50, 64, 96, 128, 192, 256, 300]
    assert read_parameters({"model": MODEL} | more, MODEL, 50, 300).sampling.max_new_tokens == 50
    assert read_parameters({"model": MODEL, "max_tokens": 77, "beams": 1}, MODEL, 50, 300).beams == 1


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).owned_by == "flamingo-jax"
    with pytest.raises(openai.NotFoundError, match="there is no model 'other'"):
        client.models.retrieve("other")


@pytest.mark.parametrize(
    "change, error, param",
    [
        ({"model": "other"}, openai.NotFoundError, "model"),
        ({"n": 2}, openai.BadRequestError, "n"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"stop": ["a"] * 5}, openai.BadRequestError, "stop"),
        ({"presence_penalty": 0.5}, openai.BadRequestError, "presence_penalty"),
        ({"max_tokens": 9999}, openai.BadRequestError, "max_tokens"),
        ({"extra_body": {"abstain": True}}, openai.BadRequestError, None),
        ({"extra_body": {"surprise": 1}}, openai.BadRequestError, "surprise"),
        (
            {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}]},
            openai.BadRequestError,
            "messages",
        ),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "y"}]},
            openai.BadRequestError,
            "messages[0].role",
        ),
        (
            {"messages": user([picture_part("https://example.com/a.png")])},
            openai.BadRequestError,
            "messages[0].content[0]",
        ),
        ({"messages": user([picture_part("file:///etc/passwd")])}, openai.BadRequestError, "messages[0].content[0]"),
        ({"messages": user("word " * 3000)}, openai.BadRequestError, "messages"),
    ],
)
def test_what_cannot_be_done_is_an_error_that_the_client_knows(client, change, error, param):
    with pytest.raises(error) as raised:
        client.chat.completions.create(**({"model": MODEL, "messages": user("hi")} | change))
    assert raised.value.param == param
    assert raised.value.body["message"] and "\n" not in raised.value.body["message"]


@pytest.mark.parametrize(
    "harmless",
    [
        {
            "n": 1,
            "logprobs": False,
            "frequency_penalty": 0.0,
            "presence_penalty": 0,
            "tools": [],
            "tool_choice": "none",
        },
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "parallel_tool_calls": True},
        {"response_format": {"type": "text"}, "logit_bias": {}, "modalities": ["text"], "stop": None, "seed": None},
    ],
)
def test_what_changes_nothing_is_taken(client, harmless):
    assert client.chat.completions.create(model=MODEL, messages=user("hi"), **harmless).choices[0].message.content


def test_errors_within_a_stream_are_raised(client, session):
    session.seconds = 0.5
    stream = client.chat.completions.create(model=MODEL, messages=user("one two three"), stream=True)
    next(iter(stream))
    session.fault = RuntimeError("no memory")
    try:
        with pytest.raises(openai.APIError, match="the model failed: RuntimeError"):
            list(stream)
    finally:
        session.seconds, session.fault = 0.0, None
