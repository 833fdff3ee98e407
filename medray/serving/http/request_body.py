"""Reading a request's body within limits of size, time and memory; nothing is written to a disk."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request

from medray.serving.engine.answers import adapter
from medray.serving.engine.memory import Claim
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.service_settings import MIB, ServiceSettings

# Its messages about a form are in our answer; strangers must not fill the log.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL + 1)
MULTIPART = "multipart/form-data"
FIELD = "file"
Asked = TypeVar("Asked")


@dataclass(frozen=True)
class File:
    """An image as it was sent; `name` is the form's file name, None for an image that is the body itself."""

    content: bytes
    name: str | None = None


async def read_body(request: Request, settings: ServiceSettings, claim: Claim) -> bytes:
    """Read a request's body whole.

    Raises:
        Problem: it is too large, comes too slowly or ends too early, or there is no memory for it now.
    """
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        raise Problem(Kind.BAD_REQUEST, "Content-Length is no number")
    if len(length) > 18 or int(length) > settings.max_body:
        raise _too_large(settings)
    claim.grow(int(length))
    parts, size = [], 0
    try:
        async with asyncio.timeout(settings.body_timeout):
            async for part in request.stream():
                size += len(part)
                if size > settings.max_body:
                    raise _too_large(settings)
                claim.grow(size)
                parts.append(part)
    except TimeoutError:
        raise Problem(Kind.SLOW_BODY, f"the body was not there after {settings.body_timeout:g} s") from None
    except ClientDisconnect:
        raise Problem(Kind.BAD_REQUEST, "the connection ended before the body did") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(settings: ServiceSettings) -> Problem:
    limit = f"{settings.max_body / MIB:g} MiB" if settings.max_body >= MIB else f"{settings.max_body:,} bytes"
    return Problem(Kind.BODY_TOO_LARGE, f"a body may have {limit} at most")


def read_json(body: bytes, kind: type[Asked]) -> Asked:
    """Return what a body of JSON asks, which must be of a type.

    Raises:
        Problem: it is no JSON, or none of that type; the first key that is wrong is named.
    """
    hashable: Any = kind
    try:
        asked: Asked = adapter(hashable).validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(Kind.BAD_REQUEST, "the request is not JSON") from None
        key = ".".join(str(part)[:40] for part in first["loc"]) or "the request"
        message = f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise Problem(Kind.BAD_REQUEST, message) from None
    return asked


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def read_files(body: bytes, content_type: str, settings: ServiceSettings, *, as_case: bool = False) -> list[File]:
    """Return the images of a body: itself, or the files of a form (RFC 7578); all those of a case with `as_case`.

    Raises:
        Problem: there is none, or the form can't be read or holds too many or anything but files.
    """
    if media_type(content_type) == MULTIPART:
        files = _form_files(body, content_type, settings.max_files, as_case=as_case)
    else:
        files = [File(body)]
    if not files:
        raise Problem(Kind.BAD_REQUEST, f"the form has no file; send each image in a field named '{FIELD}'")
    for file in files:
        if not file.content:
            raise Problem(Kind.BAD_REQUEST, "an image is empty")
    return files


def _form_files(body: bytes, content_type: str, limit: int, *, as_case: bool) -> list[File]:
    from python_multipart import create_form_parser
    from python_multipart.exceptions import FormParserError

    files: list[File] = []

    def on_field(field: Any) -> None:
        _check_name(field.field_name)
        raise Problem(Kind.BAD_REQUEST, f"field '{FIELD}' holds no file: it has no filename")

    def on_file(file: Any) -> None:
        _check_name(file.field_name)
        if len(files) == limit:
            way_out = ", and a case is answered whole; the service's --max-files allows more" if as_case else ""
            raise Problem(Kind.TOO_MANY_FILES, f"a request may hold {limit} images at most{way_out}")
        file.file_object.seek(0)
        files.append(File(file.file_object.read(), (file.file_name or b"").decode("utf-8", "replace")[:200]))
        file.close()

    headers: dict[str, Any] = {"Content-Type": content_type.encode("latin-1", "replace")}
    config = {"MAX_MEMORY_FILE_SIZE": len(body) + 1, "MAX_BODY_SIZE": len(body) + 1}
    try:
        parser = create_form_parser(headers, on_field, on_file, config=config)
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError, UnicodeError) as error:
        raise Problem(
            Kind.BAD_REQUEST, "the form can't be read: it is damaged, or its boundary is missing"
        ) from error
    return files


def _check_name(name: bytes | None) -> None:
    if name != FIELD.encode():
        text = (name or b"").decode("utf-8", "replace")[:40]
        raise Problem(Kind.BAD_REQUEST, f"unknown form field '{text}'; images go into '{FIELD}'")
