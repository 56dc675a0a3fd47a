"""Conversations as values."""

import pytest

from flamingo_jax.data.document import Image
from flamingo_jax.serving.dialogue.turns import Conversation, Turn

CAT = Image(b"cat", "cat.png")


def test_a_conversation_is_asked_and_answered_in_turn():
    asked = Conversation().asked("What is it?", (CAT,))
    answered = asked.answered("A cat.")
    assert asked.waits and not answered.waits
    assert answered.turns == (Turn("What is it?", (CAT,), "A cat."),)
    with pytest.raises(ValueError, match="turn 1 of 2 has no answer"):
        asked.asked("And now?")


def test_what_waits_can_be_withdrawn_and_what_was_answered_cannot():
    answered = Conversation().asked("a").answered("")
    assert answered.asked("b").withdrawn() == answered
    assert answered.withdrawn() == answered


@pytest.mark.parametrize("text", ["", " \n"])
def test_a_turn_needs_text_or_media(text):
    with pytest.raises(ValueError, match="neither text nor media"):
        Turn(text)
    assert Turn(text, (CAT,)).media == (CAT,)


@pytest.mark.parametrize("turn", [("\ud83d", (), None), ("What?", (), "A \udc00")])
def test_half_of_a_character_is_no_text(turn):
    with pytest.raises(ValueError, match="half of a character"):
        Turn(*turn)
