"""The paper's prompts."""

from flamingo_jax.evaluation.benchmarks import templates


def test_questions_have_one_space_between_words():
    assert templates.question(" What  is\tit?\n") == "Question: What is it? Answer:"


def test_the_text_on_a_meme_has_one_space_between_words():
    expected = 'is an image with written: "look at this" on it. Is it hateful? Answer:'
    assert templates.hateful_meme("look\n at  this ") == expected
