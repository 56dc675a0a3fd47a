"""Errors of all kinds as responses."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from flamingo_jax.serving.openai.errors import ApiError


def refusal(error: ApiError) -> JSONResponse:
    """The response that an error is."""
    return JSONResponse(error.body, error.status, error.headers)


async def of_api_error(request: Request, error: ApiError) -> JSONResponse:
    """A request that was refused or failed."""
    return refusal(error)


async def of_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """A path or method that there is not."""
    message = {404: "there is nothing at this path", 405: "this path is asked in another way"}
    response = refusal(ApiError(error.status_code, message.get(error.status_code, error.detail)))
    response.headers.update(error.headers or {})
    return response


async def of_fault(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours; its traceback is logged, and not sent."""
    return refusal(ApiError(500, f"the server failed: {type(error).__name__}", kind="server_error", code="error"))
