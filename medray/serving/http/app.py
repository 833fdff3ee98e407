"""The service as an ASGI application: its routes, and the headers, problems and metrics of every answer."""

import logging
import re
import time
import uuid

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.service import Service
from medray.serving.http import pages, v2
from medray.serving.http.outcomes_route import outcomes
from medray.serving.http.predict_route import predict
from medray.serving.telemetry.replica_metrics import OTHER

logger = logging.getLogger("medray.serving")
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
ROUTES = [
    Route("/predict", predict, methods=["POST"]),
    Route("/outcomes", outcomes, methods=["POST"]),
    Route("/", pages.index, methods=["GET"]),
    Route("/metadata", pages.metadata, methods=["GET"]),
    Route("/metrics", pages.metrics, methods=["GET"]),
    Route("/docs", pages.docs, methods=["GET"]),
    Route("/openapi.json", pages.openapi, methods=["GET"]),
    *v2.ROUTES,
]
HEADERS = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]


class App:
    """An ASGI application around a Service, with request ids, problem documents and metrics."""

    def __init__(self, service: Service, extra_routes: list[Route] | None = None) -> None:
        self.service = service
        self._router = Router([*ROUTES, *(extra_routes or [])], redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            return await self._router.lifespan(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1003})
        began, telemetry = time.perf_counter(), self.service.telemetry
        request_id = _request_id(scope)
        scope["app"] = self
        scope["state"] = {"request_id": request_id}
        extra = [*HEADERS, (b"x-request-id", request_id.encode("ascii"))]
        if self.service.draining:
            extra.append((b"connection", b"close"))
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *extra]
            await send(message)

        telemetry.entered()
        try:
            problem = await self._route(scope, receive, send_with_id)
            if problem is not None and not status:
                telemetry.problem(problem.kind.slug)
                await problem.response(request_id, scope["path"])(scope, receive, send_with_id)
        finally:
            telemetry.left()
            route: str = getattr(scope.get("route"), "path", OTHER)  # its pattern, so that metrics stay few
            telemetry.request(route, scope["method"], status or 499, time.perf_counter() - began)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> Problem | None:
        try:
            await self._router(scope, receive, send)
        except Problem as problem:
            return problem
        except HTTPException as error:
            return _as_problem(error, scope)
        except Exception as error:
            # Its message could hold parts of the request; where it was raised can't.
            line, request_id = _raised_at(error), scope["state"]["request_id"]
            logger.error("%s at %s, request %s", type(error).__name__, line, request_id)
            return Problem(Kind.INTERNAL, "the service could not answer; its log names this request's id")
        return None


def _request_id(scope: Scope) -> str:
    """Return the sender's own id where its characters are harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            if REQUEST_ID.fullmatch(text):
                return text
    return uuid.uuid4().hex


def _as_problem(error: HTTPException, scope: Scope) -> Problem:
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        detail = f"{scope['path']:.80} can be asked by {allowed} only"
        return Problem(Kind.METHOD_NOT_ALLOWED, detail, allow=allowed)
    paths = ", ".join(dict.fromkeys(route.path for route in ROUTES))
    return Problem(Kind.NOT_FOUND, f"no such path; there are: {paths}")


def _raised_at(error: BaseException) -> str:
    """Return the module and line where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
