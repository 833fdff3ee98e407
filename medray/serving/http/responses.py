"""What all routes share: who asks, by which id, and how JSON is written."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from medray.serving.engine.problems import Problem
from medray.serving.engine.service import Service
from medray.serving.engine.tokens import Denied

Handler = Callable[[Request], Awaitable[Response]]


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    found: Service = request.scope["app"].service
    return found


def request_id_of(request: Request) -> str:
    """The id of a request."""
    found: str = request.scope["state"]["request_id"]
    return found


def plain_json(content: Any) -> bytes:
    """JSON as every answer of the service is written.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def reply(content: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(plain_json(content), 200, headers, "application/json")


def token_name(request: Request, *, admin: bool = False) -> str | None:
    """The name of the sender's token, None where the service asks for none.

    Raises:
        Problem: there is no such token, or it may not do that.
    """
    service = service_of(request)
    if service.tokens is None:
        if admin:
            raise Problem("forbidden", "this service has no --token-file, so nobody is its administrator")
        return None
    try:
        return service.tokens.check(request.headers.get("authorization"), admin=admin)
    except Denied as denied:
        service.telemetry.refused(denied.kind)
        if denied.kind == "not_admin":
            raise Problem("forbidden", "this token is no administrator's") from None
        raise Problem("unauthorized", "send a token: Authorization: Bearer TOKEN") from None


def guarded(handler: Handler) -> Handler:
    """Let only those with a token ask, where the service has tokens."""

    async def checked(request: Request) -> Response:
        request.scope["state"]["token"] = token_name(request)
        return await handler(request)

    return checked
