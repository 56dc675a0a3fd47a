"""The panel of settings."""

import gradio as gr

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.settings import (
    MOST_BEAMS,
    MOST_SHOTS,
    MOST_TEMPERATURE,
    MOST_TOKENS,
    Settings,
)
from flamingo_jax.serving.dialogue.style import DIALOGUE, QUESTIONS

_STYLES = [("Conversation", DIALOGUE.name), ("Short answers", QUESTIONS.name)]


def panel(chat: Chat, settings: Settings) -> list[gr.components.Component]:
    """The controls, in the order of the fields of `Settings`. What the model cannot do is not shown.

    Raises:
      ConfigError: the settings begin with more examples than can be shown.
    """
    shots = min(MOST_SHOTS, len(chat.support.turns) if chat.support else 0, chat.images - 1)
    if settings.shots > shots:
        raise ConfigError(
            f"{settings.shots} shots are more than the support folder and the window of images hold: at most {shots}"
        )
    return [
        gr.Radio(_STYLES, value=settings.style, label="Way of asking", info="Small models give short answers best."),
        gr.Slider(1, MOST_TOKENS, value=settings.answer_tokens, step=1, label="Longest answer", info="In tokens."),
        gr.Slider(1, MOST_BEAMS, value=settings.beams, step=1, label="Beams", info="Above 1, answers come whole."),
        gr.Slider(
            *(0, MOST_TEMPERATURE),
            value=settings.temperature,
            step=0.05,
            label="Temperature",
            info="0 always takes the likeliest word.",
        ),
        gr.Slider(
            *(min(0.05, settings.top_p), 1),
            value=settings.top_p,
            step=0.01,
            label="Top-p",
            info="Draws from the likeliest words.",
        ),
        gr.Number(settings.seed, precision=0, minimum=0, label="Seed", info="Of what is drawn."),
        gr.Slider(
            *(0, max(shots, 1)),
            value=settings.shots,
            step=1,
            label="Examples",
            info="Like your picture, shown to the model first.",
            visible=shots > 0,
        ),
        gr.Checkbox(
            settings.abstain,
            label="Say “I don't know” when unsure",
            info="Answers take longer and come whole.",
            visible=chat.abstains,
        ),
    ]
