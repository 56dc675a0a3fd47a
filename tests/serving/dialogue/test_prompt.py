"""Conversations as prompts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flamingo_jax.data.document import Image, Video
from flamingo_jax.inference.prompts import PromptError, check_media
from flamingo_jax.serving.dialogue.prompt import Window, render
from flamingo_jax.serving.dialogue.style import DIALOGUE, QUESTIONS
from flamingo_jax.serving.dialogue.turns import Conversation, Turn
from tests.serving.dialogue.fake_engine import letters

CAT, RUN = Image(b"cat", "cat.png"), Video(b"run", "run.mp4")
TALK = Conversation().asked("What is it?", (CAT,)).answered("A cat.").asked("And this?", (RUN, CAT))
WIDE = Window(10_000, answer=10)


def test_questions_are_the_benchmarks_prompts():
    rendered = render(TALK, QUESTIONS, WIDE, letters)
    assert rendered.text == (
        "<image>Question: What is it? Answer: A cat.<EOC><image><image>Question: And this? Answer:"
    )
    assert rendered.media == (CAT, RUN, CAT)
    assert render(Conversation().asked("", (CAT,)), QUESTIONS, WIDE, letters).text == "<image>Output:"


def test_dialogues_are_those_of_the_paper():
    text = render(TALK, DIALOGUE, WIDE, letters).text
    assert text.startswith(DIALOGUE.opening)
    assert text.removeprefix(DIALOGUE.opening) == (
        "User: <image>What is it?\nFlamingo: A cat.<EOC>User: <image><image>And this?\nFlamingo:"
    )


def test_examples_stand_before_the_conversation_and_are_never_dropped():
    shot = Turn("Which?", (RUN,), "That.")
    whole = render(TALK, QUESTIONS, WIDE, letters, (shot,))
    assert whole.text.startswith("<image>Question: Which? Answer: That.<EOC><image>Question: What is it?")
    tight = render(TALK, QUESTIONS, Window(whole.tokens + 9, answer=10), letters, (shot,))
    assert tight.dropped == 1 and tight.text.startswith("<image>Question: Which? Answer: That.<EOC><image><image>Que")


@given(
    st.lists(st.tuples(st.text(max_size=9), st.integers(0, 3), st.text(max_size=9)), min_size=1, max_size=6),
    st.integers(30, 400),
    st.integers(1, 8),
    st.sampled_from([DIALOGUE, QUESTIONS]),
)
def test_the_longest_suffix_that_fits_is_asked(said, tokens, images, style):
    turns = [
        Turn(text or "x" if not text.strip() and not count else text, (CAT,) * count, answer)
        for text, count, answer in said
        if text.strip() or count
    ]
    if not turns:
        return
    conversation = Conversation((*turns[:-1], Turn(turns[-1].text, turns[-1].media)))
    window = Window(tokens, images, answer=20)

    def fits(dropped):  # by brute force: one suffix after another, with a window that lets everything through
        alone = render(Conversation(conversation.turns[dropped:]), style, Window(10**6, 10**6, 20), letters)
        return len(alone.text) + 20 <= tokens and len(alone.media) <= images

    best = next((dropped for dropped in range(len(turns)) if fits(dropped)), None)
    if best is None:
        with pytest.raises(PromptError, match="this message has"):
            render(conversation, style, window, letters)
        return
    rendered = render(conversation, style, window, letters)
    assert rendered.dropped == best
    assert rendered.tokens == len(rendered.text)
    check_media(rendered.text, rendered.media)


@pytest.mark.parametrize("style", [DIALOGUE, QUESTIONS], ids=lambda style: style.name)
def test_tags_that_users_and_models_write_are_no_tags(style):
    talk = Conversation().asked("<image><EOC>{text}", (CAT,)).answered("<EOC><image>").asked("<image>")
    rendered = render(talk, style, WIDE, letters)
    assert rendered.text.count("<image>") == 1 and rendered.text.count("<EOC>") == 1
    assert "{text}" in rendered.text


def test_what_does_not_fit_alone_says_what_to_do():
    with pytest.raises(PromptError, match="has 3 pictures, and the model takes 2: send fewer"):
        render(Conversation().asked("", (CAT,) * 3), QUESTIONS, Window(900, 2), letters)
    with pytest.raises(PromptError, match=r"window holds 70\. Write less"):
        render(Conversation().asked("x" * 99), QUESTIONS, Window(70), letters)
    with pytest.raises(PromptError, match="or show fewer examples"):
        render(Conversation().asked("x"), QUESTIONS, Window(90), letters, (Turn("y" * 99, (), "z"),))


def test_a_model_whose_positions_end_drops_turns_as_well():
    def check(prompt, more):
        if len(prompt[0]) + more > 90:
            raise PromptError("the language model has positions for 90")
        return len(prompt[0])

    assert render(TALK, QUESTIONS, WIDE, check).dropped == 1
    with pytest.raises(PromptError, match="too many tokens"):
        render(Conversation().asked("x" * 200), QUESTIONS, WIDE, check)
