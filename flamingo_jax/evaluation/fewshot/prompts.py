"""Few-shot prompts as in the paper (figure 8, appendix A.2)."""

from collections.abc import Sequence

from flamingo_jax.data.sequence import plain_text
from flamingo_jax.data.tokenizer import IMAGE_TAG
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.benchmarks.templates import one_line
from flamingo_jax.inference.prompts import EOC_TAG


def example_text(item: Item) -> str:
    """What an example says of its image."""
    return f"{asked(item)} {plain(one_line(item.answer))}{EOC_TAG}"


def asked(item: Item) -> str:
    """What stands between an image and the answer."""
    return plain(item.prompt)


def plain(text: str) -> str:
    """A release's text, in which tags are no tags of ours."""
    return plain_text(text).replace(EOC_TAG, EOC_TAG.replace("<", "< "))


def few_shot_prompt(query: Item, examples: Sequence[Item]) -> str:
    """`<image>Output: A...<EOC><image>Output: B...<EOC><image>Output:`, the examples first."""
    shown = "".join(f"{IMAGE_TAG}{example_text(item)}" for item in examples)
    return f"{shown}{IMAGE_TAG}{asked(query)}"


def zero_shot_prompt(query: Item, examples: Sequence[Item]) -> str:
    """`Output: A...<EOC>Output: B...<EOC><image>Output:`: the examples show how to answer, without their images."""
    return f"{''.join(map(example_text, examples))}{IMAGE_TAG}{asked(query)}"


def cut_answer(text: str, keywords: Sequence[str]) -> str:
    """The answer up to a keyword of the prompt, the tag of an image or a line's end: a model may go on with a prompt.

    The paper cuts at the keywords when a model leaves out `<EOC>` (section 4.4.1 of its first version).
    """
    places = [place for keyword in (*keywords, IMAGE_TAG, "\n") if (place := text.strip().find(keyword)) >= 0]
    return text.strip()[: min(places, default=None)].strip()
