"""Serving the page, from a private folder that is deleted at the end."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from flamingo_jax.config import ConfigError
from flamingo_jax.serving.address import is_loopback
from flamingo_jax.serving.dialogue import files
from flamingo_jax.serving.dialogue.chat import Chat
from flamingo_jax.serving.uploads import Limits
from flamingo_jax.serving.web.gate import Gate
from flamingo_jax.serving.web.page import Shown, build
from flamingo_jax.serving.web.style import CSS
from flamingo_jax.serving.web.visitors import Visitors

_FOLDER = "GRADIO_TEMP_DIR"  # the library takes the folder of its uploads from the environment alone
_SESSIONS = 256  # of the library; ours are fewer (`visitors.MOST`)


@contextlib.contextmanager
def served(chat: Chat, shown: Shown, host: str, port: int, limits: Limits) -> Iterator[str]:
    """Serves the page in the background, and gives its address.

    Args:
      host: to listen on.
      port: to listen on; 0: any that is free.
      limits: of each file that a user sends.

    Raises:
      ConfigError: the port is taken, or the host is not this machine's.
    """
    with _private_folder() as folder:
        visitors = Visitors(chat, folder)
        page = build(chat, visitors, shown, limits)
        try:
            _launch(page, folder, host, port)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {host}, port {port}: {error}. Choose another --port or --host"
            ) from error
        try:
            yield page.local_url
        finally:
            page.close(verbose=False)
            visitors.close()


def _launch(page: gr.Blocks, folder: Path, host: str, port: int) -> None:
    middleware = [Middleware(Gate, folder=str(folder), loopback=is_loopback(host))]
    page.launch(
        server_name=host,
        server_port=port or None,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        inbrowser=False,
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=[],
        max_file_size=files.LARGEST,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        strict_cors=True,
        state_session_capacity=_SESSIONS,
        theme=gr.themes.Default(),
        css=CSS,
        app_kwargs={"middleware": middleware, "docs_url": None, "redoc_url": None, "openapi_url": None},
    )


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    before = os.environ.get(_FOLDER)
    with tempfile.TemporaryDirectory(prefix="flamingo-chat-") as name:
        folder = Path(name).resolve()
        os.environ[_FOLDER] = str(folder)
        try:
            yield folder
        finally:
            if before is None:
                del os.environ[_FOLDER]
            else:
                os.environ[_FOLDER] = before
