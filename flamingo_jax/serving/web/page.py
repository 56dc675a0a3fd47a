"""The page: one column with the conversation and the field to write in, and a panel of settings beside it."""

import dataclasses
from typing import NamedTuple

import gradio as gr

from flamingo_jax.html.markup import join, tag
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.dialogue.settings import Settings
from flamingo_jax.serving.dialogue.talk import Talk
from flamingo_jax.serving.uploads import Limits
from flamingo_jax.serving.web.handlers import Handlers
from flamingo_jax.serving.web.panel import panel
from flamingo_jax.serving.web.thumbnails import thumbnail
from flamingo_jax.serving.web.transcript import transcript
from flamingo_jax.serving.web.visitors import Visitors

_AT_ONCE = 32  # answers under way at a time, each in a thread that waits; more wait in the library's queue
_OLD = 3600  # seconds after which a file that was uploaded and never sent is deleted
_FOLLOW = "watch('value', () => window.scrollTo({top: document.body.scrollHeight}))"
_CLICK = "() => setTimeout(() => document.querySelector('#download')?.click(), 100)"

_NARROW = "() => { if (innerWidth < 900) document.querySelector('#panel.open .toggle-button')?.click() }"
"""On a narrow screen the panel would cover the conversation, so it begins closed."""


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page says of the model.

    Attributes:
      name: of the run.
      step: of its checkpoint.
      settings: that the panel begins with.
    """

    name: str
    step: int
    settings: Settings


class _Actions(NamedTuple):
    """Buttons of the panel."""

    begin: gr.Button
    save: gr.Button
    load: gr.UploadButton
    download: gr.DownloadButton


def build(chat: Chat, visitors: Visitors, shown: Shown, limits: Limits) -> gr.Blocks:
    """The page, ready to be served."""
    with gr.Blocks(title="Flamingo", analytics_enabled=False, delete_cache=(_OLD // 6, _OLD)) as page:
        with gr.Sidebar(position="right", open=True, width=300, elem_id="panel"):
            settings = panel(chat, shown.settings)
            actions = _actions()
        title = join([tag("h1", "Flamingo"), tag("p", f"{shown.name}, step {shown.step:,}")])
        gr.HTML(title, elem_id="title", js_on_load=None)
        history = gr.HTML(transcript(Talk(chat), thumbnail), elem_id="history", js_on_load=_FOLLOW)
        live = gr.HTML("", elem_id="live", js_on_load=_FOLLOW)
        with gr.Column(elem_id="foot"):
            notice = gr.HTML("", elem_id="notice", js_on_load=None)
            composer = gr.MultimodalTextbox(
                placeholder="Ask about pictures and clips, or drop them here",
                file_types=["image", "video"],
                file_count="multiple",
                show_label=False,
                label="Message",
                autofocus=True,
                elem_id="composer",
            )
            seen = gr.HTML("", elem_id="seen", js_on_load=None)
        _connect(
            page, Handlers(visitors, limits, chat.tokens), [composer, history, live, notice, seen], settings, actions
        )
    return page


def _actions() -> _Actions:
    with gr.Row():
        save = gr.Button("Save", size="sm", min_width=80)
        load = gr.UploadButton("Load", size="sm", min_width=80, file_types=[".json"])
    begin = gr.Button("New conversation", size="sm")
    download = gr.DownloadButton("Download", visible="hidden", elem_id="download")
    return _Actions(begin, save, load, download)


def _connect(
    page: gr.Blocks, handlers: Handlers, view: list[gr.components.Component], settings: list, actions: _Actions
) -> None:
    """What happens when. Nothing of it has a name by which other programs could call it."""
    composer, notice = view[0], view[3]
    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    composer.submit(handlers.ask, [composer, *settings], view, concurrency_limit=_AT_ONCE, **quiet)
    composer.stop(handlers.stop, None, None, **quiet)
    actions.begin.click(handlers.begin, None, view, **quiet)
    actions.load.upload(handlers.load, actions.load, view, **quiet)
    saved = actions.save.click(handlers.save, None, [actions.download, notice], **quiet)
    saved.success(None, None, None, js=_CLICK, **quiet)
    page.load(None, None, None, js=_NARROW, **quiet)
    page.unload(handlers.leave)
