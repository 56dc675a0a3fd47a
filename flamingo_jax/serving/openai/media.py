"""Pictures and clips of a request: within it, or fetched where that is allowed. Nothing is read from files."""

import binascii
import re
from collections.abc import Mapping

from flamingo_jax.data.document import Image, Video
from flamingo_jax.serving.openai.errors import ApiError, invalid, quoted
from flamingo_jax.serving.openai.messages import Messages, Reference
from flamingo_jax.serving.uploads import Limits, UploadError, check_upload, picture_pixels

_DATA = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_REMOTE = re.compile(r"https?://", re.IGNORECASE)


def remote_urls(messages: Messages, allowed: bool) -> dict[str, Reference]:
    """The addresses that are to be fetched, each with a place that names it.

    Raises:
      ApiError: there are some, and that is not allowed; or an address is neither of the web nor a data: URL.
    """
    found = {}
    for exchange in messages.exchanges:
        for reference in exchange.media:
            if _REMOTE.match(reference.url):
                if not allowed:
                    raise invalid(
                        f"{reference.where} is an address, and this server fetches none: send a data: URL",
                        reference.where,
                        code="remote_url_refused",
                    )
                found.setdefault(reference.url, reference)
            elif not _DATA.match(reference.url):
                raise invalid(
                    f"{reference.where} has the url {quoted(reference.url)}: it is data:image/png;base64,... or the "
                    "same of another picture or clip",
                    reference.where,
                )
    return found


def read_media(
    messages: Messages, fetched: Mapping[str, bytes], limits: Limits, pixels: int
) -> dict[str, Image | Video]:
    """The pictures and clips that are meant, by their content; by the places of their references.

    Args:
      limits: of each; `pixels`: of all pictures together, which are counted before any is decoded.

    Raises:
      ApiError: one cannot be read, or they are too large.
    """
    references = [reference for exchange in messages.exchanges for reference in exchange.media]
    files = [
        fetched[reference.url] if reference.url in fetched else _decoded(reference, limits.bytes)
        for reference in references
    ]
    left = pixels
    for reference, encoded in zip(references, files, strict=True):
        left -= picture_pixels(encoded)
        if left < 0:
            raise invalid(
                f"the pictures up to {reference.where} have more than {pixels} pixels together: send smaller ones",
                reference.where,
                code="too_many_pixels",
            )
    return {each.where: _checked(each, encoded, limits) for each, encoded in zip(references, files, strict=True)}


def _checked(reference: Reference, encoded: bytes, limits: Limits) -> Image | Video:
    try:
        return check_upload(reference.where, encoded, limits)
    except UploadError as error:
        raise invalid(str(error), reference.where, code="invalid_image") from None


def _decoded(reference: Reference, most: int) -> bytes:
    data = reference.url[_DATA.match(reference.url).end() :]
    if len(data) > 4 * (most // 3 + 1):  # base64 writes three bytes as four letters
        raise ApiError(413, f"{reference.where} has more than {most} bytes", reference.where, code="request_too_large")
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except ValueError as error:  # also for letters that are not ASCII
        raise invalid(f"{reference.where} is not base64: {error}", reference.where, code="invalid_base64") from None
