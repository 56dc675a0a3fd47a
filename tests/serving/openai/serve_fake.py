"""The server as a process of its own, without a model: `python -m ... SECONDS_A_STEP SECONDS_TO_FINISH_IN`."""

import logging
import sys

from flamingo_jax.serving.address import bind, listen
from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.app import make_app
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.listening import serve
from tests.serving.fake_session import FakeSession
from tests.serving.openai.running import MODEL

if __name__ == "__main__":
    ours = logging.getLogger("flamingo_jax")
    ours.setLevel(logging.INFO)
    ours.addHandler(logging.StreamHandler())
    step, drain = map(float, sys.argv[1:])
    engine = Engine(FakeSession(step, 5 * step), EngineConfig(wait_s=20.0))
    listening = bind("127.0.0.1", 0)
    listen(listening)
    sys.exit(not serve(make_app(engine, ServerConfig(MODEL)), engine, listening, drain))
