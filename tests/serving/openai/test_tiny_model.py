"""The whole way with a model: OpenAI's client, the server, the engine and a session."""

import dataclasses

import openai
import pytest

from flamingo_jax.data.document import Image
from flamingo_jax.inference.advancing import Sampling
from flamingo_jax.inference.decoding import Decoding
from flamingo_jax.inference.session import Session
from flamingo_jax.serving.dialogue.prompt import Window, render
from flamingo_jax.serving.dialogue.style import QUESTIONS
from flamingo_jax.serving.dialogue.turns import Conversation
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.config import ServerConfig
from tests import tiny_run
from tests.data.samples import noise_bytes
from tests.serving.openai.running import MODEL, data_url, picture_part, running

pytestmark = pytest.mark.slow
NEW = 6
STYLE = dataclasses.replace(QUESTIONS, stops=())  # a model of random weights says anything


@pytest.fixture(scope="module")
def session(tiny_config, tmp_path_factory) -> Session:
    return tiny_run.seeing_session(tmp_path_factory.mktemp("run"), tiny_config, rows=2)


def test_a_client_gets_what_the_session_says(session):
    encoded = noise_bytes(1, (32, 32), "PNG")
    asked = Conversation().asked("what?", (Image(encoded),))
    rendered = render(asked, STYLE, Window(400, answer=NEW), session.check)
    (greedy,) = session.answers([rendered.prompt], Decoding(max_new_tokens=NEW))
    (searched,) = session.answers([rendered.prompt], Decoding("beam", NEW, beams=2))
    drawn = "".join(
        piece.text for (piece,) in session.stream([rendered.prompt], [Sampling(NEW, temperature=1.0, seed=5)])
    )
    messages = [{"role": "user", "content": [picture_part(data_url(encoded)), {"type": "text", "text": "what?"}]}]
    asking = {"model": MODEL, "messages": messages, "max_tokens": NEW}
    with running(Engine(session), ServerConfig(MODEL, STYLE, window_tokens=400)) as port:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0, timeout=300)
        whole = client.chat.completions.create(**asking)
        chunks = [*client.chat.completions.create(**asking, stream=True)]
        sampled = client.chat.completions.create(**asking, temperature=1.0, seed=5)
        beams = client.chat.completions.create(**asking, extra_body={"beams": 2})
    assert whole.choices[0].message.content == greedy.text
    assert whole.flamingo["log_likelihood"] == pytest.approx(greedy.log_likelihood, rel=1e-4)
    assert whole.usage.prompt_tokens == rendered.tokens and whole.usage.completion_tokens == greedy.tokens
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == greedy.text
    assert sampled.choices[0].message.content == drawn
    assert beams.choices[0].message.content == searched.text
