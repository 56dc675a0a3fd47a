"""The paper's prompts (appendix B.1.5): what stands between an image and its answer."""

CAPTION = "Output:"
"""Of captioning and classification."""


def question(text: str) -> str:
    """Of question answering and dialogue."""
    return f"Question: {text} Answer:"


def hateful_meme(written: str) -> str:
    """Of HatefulMemes, the one set whose prompt has the text that is written on the image."""
    return f'is an image with written: "{written}" on it. Is it hateful? Answer:'


ACTION = "Caption:"
"""Of RareAct, whose answers are "a person" and a verb with its object."""
