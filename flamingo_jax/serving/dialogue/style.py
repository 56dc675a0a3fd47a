"""How a conversation is written for the model."""

import dataclasses

from flamingo_jax.config import ConfigError
from flamingo_jax.data.tokenizer import IMAGE_TAG
from flamingo_jax.evaluation.benchmarks import captioning, templates, visual_questions
from flamingo_jax.evaluation.fewshot.prompts import plain
from flamingo_jax.inference.prompts import EOC_TAG
from flamingo_jax.serving.dialogue.turns import Turn


@dataclasses.dataclass(frozen=True)
class Style:
    """A way to write turns, one after another.

    Attributes:
      name: on the command line and in files.
      opening: what every prompt begins with.
      before: what stands before a turn's media.
      question: of a turn with text, `{text}`, what stands between its media and its answer.
      caption: the same of a turn without text.
      stops: where an answer is cut if the model goes on with the next turn.
    """

    name: str
    opening: str
    before: str
    question: str
    caption: str
    stops: tuple[str, ...]

    def asks(self, turn: Turn) -> str:
        """A turn up to its answer. Tags in the user's text are no tags of ours."""
        text = plain(turn.text.strip())
        asked = self.question.format(text=text) if text else self.caption
        return f"{self.before}{IMAGE_TAG * len(turn.media)}{asked}"

    def says(self, turn: Turn) -> str:
        """A turn with its answer."""
        return f"{self.asks(turn)} {plain(turn.answer or '')}{EOC_TAG}"


DIALOGUE = Style(
    name="dialogue",
    opening=(
        "A conversation between a human, User, and a visual AI, Flamingo. "
        "User sends images, and Flamingo says what they show and answers questions about them.\n"
    ),
    before="User: ",
    question="{text}\nFlamingo:",
    caption="\nFlamingo:",
    stops=("User:", "Flamingo:"),
)
"""The paper's dialogue with a human (appendix D), its opening in other words."""

QUESTIONS = Style(
    name="questions",
    opening="",
    before="",
    question=templates.question("{text}"),
    caption=templates.CAPTION,
    stops=tuple(dict.fromkeys((*visual_questions.KEYWORDS, *captioning.KEYWORDS, "\n"))),
)
"""The benchmarks' prompts of one line each, for models too small to talk."""

STYLES = {style.name: style for style in (DIALOGUE, QUESTIONS)}


def find_style(name: str) -> Style:
    """The style of this name.

    Raises:
      ConfigError: there is none.
    """
    if name not in STYLES:
        raise ConfigError(f"there is no style {name!r}: the styles are {', '.join(STYLES)}")
    return STYLES[name]
