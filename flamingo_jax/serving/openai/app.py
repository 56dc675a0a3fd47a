"""The server's paths."""

import collections
import time

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from flamingo_jax.serving.engine.engine import Engine
from flamingo_jax.serving.openai.chat import Chat
from flamingo_jax.serving.openai.config import ServerConfig
from flamingo_jax.serving.openai.errors import ApiError, quoted
from flamingo_jax.serving.openai.gate import Gate
from flamingo_jax.serving.openai.metrics import KIND, exposition
from flamingo_jax.serving.openai.replies import of_api_error, of_fault, of_http_exception


def make_app(engine: Engine, config: ServerConfig) -> Starlette:
    """An OpenAI-compatible server of one model, as an ASGI application."""
    chat, responses = Chat(engine, config), collections.Counter()
    model = {"id": config.model, "object": "model", "created": int(time.time()), "owned_by": "flamingo-jax"}

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [model]})

    async def one_model(request: Request) -> Response:
        name = request.path_params["name"]
        if name != config.model:
            raise ApiError(404, f"there is no model {quoted(name)}", "model", code="model_not_found")
        return JSONResponse(model)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:
        reason = engine.not_ready
        return JSONResponse({"status": reason or "ready"}, 503 if reason else 200)

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(
            exposition(engine, chat.held, responses), media_type=None, headers={"content-type": KIND}
        )

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", one_model),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(Gate, keys=config.keys, hosts=config.hosts, responses=responses)],
        exception_handlers={ApiError: of_api_error, HTTPException: of_http_exception, Exception: of_fault},
    )
