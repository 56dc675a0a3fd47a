"""The paper's prompts (appendix B.1.5): what stands between an image and its answer."""

CAPTION = "Output:"
"""Of captioning and classification."""


def one_line(text: str) -> str:
    """A release's text with one space where it has several, tabs or line ends, as people write."""
    return " ".join(text.split())


def question(text: str) -> str:
    """Of question answering and dialogue."""
    return f"Question: {one_line(text)} Answer:"


def hateful_meme(written: str) -> str:
    """Of HatefulMemes, the one set whose prompt has the text that is written on the image."""
    return f'is an image with written: "{one_line(written)}" on it. Is it hateful? Answer:'


ACTION = "Caption:"
"""Of RareAct, whose answers are "a person" and a verb with its object."""
