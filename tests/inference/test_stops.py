"""What of an unfinished answer may be shown."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flamingo_jax.inference.stops import shown


def test_what_may_become_a_stop_text_is_held_back():
    assert shown("a cat. Us", ("User:",), ended=False) == ("a cat.", False)
    assert shown("a cat. Us", ("User:",), ended=True) == ("a cat. Us", False)
    assert shown("a cat. User: no", ("User:",), ended=False) == ("a cat.", True)
    assert shown("a cat. Used", ("User:",), ended=False) == ("a cat. Used", False)


def test_space_and_unfinished_characters_are_held_back():
    assert shown(" caf\ufffd", (), ended=False).text == "caf"
    assert shown(" a cat \n", (), ended=False).text == "a cat"
    assert shown("\ufffd", (), ended=True).text == "\ufffd"


def test_the_first_of_several_stop_texts_counts():
    assert shown("one\ntwo User: three", ("User:", "\n"), ended=True) == ("one", True)


@settings(deadline=None, max_examples=300)
@given(st.text("ab\n ", max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3))
def test_what_was_shown_stays(answer, stops):
    """However the answer comes in, what follows only adds, and it ends before the stop text that is complete first."""
    whole = answer.lstrip()
    ends = [end for end in range(len(whole) + 1) if any(whole[:end].endswith(stop) for stop in stops)]
    ended = [stop for stop in stops if ends and whole[: ends[0]].endswith(stop)]
    cut = ends[0] - max(map(len, ended)) if ends else None
    before = ""
    for count in range(len(answer) + 1):
        text, stopped = shown(answer[:count], stops, ended=False)
        assert text.startswith(before)
        before = text
        if stopped:
            break
    text, stopped = shown(answer[:count], stops, ended=True)
    assert text.startswith(before) and text == whole[:cut].rstrip()
    assert stopped == bool(ends)
