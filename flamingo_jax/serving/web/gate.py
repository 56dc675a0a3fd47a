"""What the page's server answers: what the page itself asks for, and nothing else.

The library under the page has many more addresses (files by path, a proxy, a recorder, its own API documentation). They
are shut here, by a list of what is open, so that one that a later version adds is shut, too.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from flamingo_jax.serving.address import is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_API = "/gradio_api"
_OPEN = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/(?:assets|static|svelte)/[\w./@+-]+"
    rf"|{_API}/(?:startup-events|theme\.css|info|upload|upload_progress|cancel|queue/join|queue/data)"
    rf"|{_API}/heartbeat/\w+"
)
_FILE = f"{_API}/file="
_PAGES = ("/", "/config")
_ELSEWHERE = re.compile(
    rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>'
    rb"|https://(?:github|raw\.githubusercontent)\.com/[\w./-]*"  # what example calls of the library's API would send
)
_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        b"object-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


class Gate:
    """ASGI middleware: 404 for what is not open; nothing in the page is loaded from elsewhere."""

    def __init__(self, app: App, folder: str, loopback: bool):
        """
        Args:
          folder: the absolute path of the only folder whose files may be read: uploads and downloads.
          loopback: whether only this machine's own names are answered. Else a page of the web, open in a browser here,
            could reach us under a name of its own that it lets point here.
        """
        self._app, self._folder, self._loopback = app, folder.rstrip("/") + "/", loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See `App`."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] != "http" or not self._is_open(scope["path"]) or not self._is_ours(scope):
            await _refuse(scope, send)
        else:
            await self._app(scope, receive, _Answer(send, scope["path"] in _PAGES))

    def _is_ours(self, scope: Scope) -> bool:
        """Whether a request is for us, and does not do something in the name of a page of another site."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] == "POST" and headers.get(b"sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        return not self._loopback or is_loopback(_host(headers.get(b"host", "")))

    def _is_open(self, path: str) -> bool:
        if path.startswith(_FILE):
            file = path.removeprefix(_FILE)
            return file.startswith(self._folder) and ".." not in unquote(file).split("/")
        return _OPEN.fullmatch(path) is not None and ".." not in path.split("/")


class _Answer:
    """Sends an answer on with our headers; the page without what speaks of another site."""

    def __init__(self, send: Send, is_page: bool):
        self._send, self._is_page = send, is_page
        self._start: MutableMapping[str, Any] = {}
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_HEADERS]
            self._start = message
            if not self._is_page:
                await self._send(message)
        elif not self._is_page or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page()

    async def _send_page(self) -> None:
        body = _ELSEWHERE.sub(b"", self._body)
        names = (b"content-length", b"content-encoding")
        if not any(name == names[1] for name, _ in self._start["headers"]):
            kept = [(name, value) for name, value in self._start["headers"] if name != names[0]]
            self._start["headers"] = [*kept, (names[0], str(len(body)).encode())]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": body})


def _host(header: str) -> str:
    """The name without its port."""
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return ""


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"There is nothing here.\n"})
