"""A conversation as HTML. What users and models write is text and never markup."""

import dataclasses
from collections.abc import Callable

from flamingo_jax.data.document import Image, Video
from flamingo_jax.data.errors import MediaError
from flamingo_jax.html.markup import Html, details, join, tag, void
from flamingo_jax.serving.dialogue.chat import STOPPED
from flamingo_jax.serving.dialogue.files import Asked
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.dialogue.turns import Turn
from flamingo_jax.serving.engine.events import Done

_WELCOME = (
    "Drop a picture or a clip into the field below and ask about it. What you send stays in this program's memory "
    "until you close the page."
)


def transcript(talk: Talk, thumbnail: Callable[[Image | Video], str]) -> Html:
    """All turns, those that the model no longer sees greyed and set apart."""
    turns = talk.conversation.turns
    if not turns:
        return tag("div", tag("p", _WELCOME, class_="welcome"), class_="talk")
    ends = (*zip(talk.asked, talk.done, strict=True), *((None, None),) * (len(turns) - len(talk.asked)))
    shown = [_turn(turn, *end, thumbnail) for turn, end in zip(turns, ends, strict=True)]
    gone = talk.dropped
    if not gone:
        return tag("div", *shown, class_="talk")
    are = "The message above is" if gone == 1 else f"The {gone} messages above are"
    line = tag("p", f"{are} no longer seen by the model: the conversation is longer than its window.", class_="edge")
    return tag("div", tag("div", *shown[:gone], class_="gone"), line, *shown[gone:], class_="talk")


def answer_so_far(text: str) -> Html:
    """The answer that is being written."""
    inside = text or tag("span", "Flamingo is looking", class_="waiting")
    return tag("div", tag("div", inside, class_="says growing"), class_="talk")


def notice(message: str) -> Html:
    """What went wrong; empty: nothing."""
    return tag("p", message, class_="notice", role="alert") if message else Html("")


def seen(talk: Talk, window: int) -> Html:
    """How full the model's window was at the last question."""
    return tag("p", f"{talk.tokens:,} of {window:,} tokens", class_="seen") if talk.tokens else Html("")


def _turn(turn: Turn, asked: Asked | None, done: Done | None, thumbnail: Callable[[Image | Video], str]) -> Html:
    media = [_medium(medium, thumbnail) for medium in turn.media]
    pictures = tag("div", *media, class_="media") if media else ""
    sent = tag("div", pictures, tag("p", turn.text) if turn.text else "", class_="sent")
    if turn.answer is None:
        return tag("div", sent, class_="turn")
    says = tag("div", turn.answer or tag("span", "The model says nothing.", class_="waiting"), class_="says")
    return tag("div", sent, says, _footnotes(asked, done), class_="turn")


def _medium(medium: Image | Video, thumbnail: Callable[[Image | Video], str]) -> Html:
    name = medium.source or ("clip" if isinstance(medium, Video) else "picture")
    try:
        picture = void("img", src=thumbnail(medium), alt=name, title=name)
    except MediaError as error:
        return tag("p", f"{name} cannot be shown: {error}", class_="waiting")
    label = tag("span", "clip", class_="clip") if isinstance(medium, Video) else ""
    return tag("span", picture, label, class_="medium")


def _footnotes(asked: Asked | None, done: Done | None) -> Html:
    """How the answer came about, where that is worth a word."""
    notes = []
    if asked is not None:
        if asked.examples:
            notes.append(f"after {len(asked.examples)} examples")
        if asked.finish == STOPPED:
            notes.append("stopped")
        if asked.finish == "length":
            notes.append(f"cut at {asked.settings.answer_tokens} tokens")
        if asked.abstained:
            notes.append("not sure enough to answer")
    shown = tag("p", ", ".join(notes), class_="foot") if notes else ""
    return join([shown, _evidence(done)])


def _evidence(done: Done | None) -> Html:
    """What the rule of abstention judged."""
    if done is None or done.evidence is None:
        return Html("")
    figures = [
        tag("li", f"{name.replace('_', ' ')}: {value:.3g}")
        for name, value in dataclasses.asdict(done.evidence).items()
        if isinstance(value, (int, float))
    ]
    sure = "evidence" if done.confidence is None else f"confidence {done.confidence:.2f}"
    return details(sure, tag("ul", *figures), class_="foot")
