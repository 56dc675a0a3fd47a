"""A chat with the model of a workdir."""

from etils import epath

from flamingo_jax.inference.session import Session
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.support import Support
from flamingo_jax.serving.engine.abstention import open_rule
from flamingo_jax.serving.engine.config import EngineConfig
from flamingo_jax.serving.engine.engine import Engine

_PATIENCE = 900.0  # seconds for one answer: people see it grow, and the first waits for its programs to be compiled


def open_engine(session: Session, workdir: epath.Path) -> Engine:
    """An engine for people, with the workdir's rule of abstention if it has one.

    Raises:
      ConfigError: the rule is damaged, or of another model.
    """
    return Engine(session, EngineConfig(wait_s=_PATIENCE, answer_s=_PATIENCE), open_rule(workdir, session))


def chat_of(
    engine: Engine, session: Session, window: int = 0, images: int = 33, support: Support | None = None
) -> Chat:
    """What answers conversations.

    Args:
      window: tokens of a prompt and its answer; 0: of the context that the language model was trained with.
      images: of a prompt, at most.
    """
    tokens = window or session.model.config.language.max_length
    return Chat(engine.submit, engine.run, session.check, tokens, images, support, engine.rule is not None)
