"""What people and machines read: the page, the model's metadata, metrics, and the interface's description."""

from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

from medray.serving.http.openapi import describe
from medray.serving.http.openapi_page import page
from medray.serving.http.responses import guarded, reply, service_of
from medray.serving.telemetry.totals import CONTENT_TYPE, render

#: The page's script and style lie in it; nothing else may be loaded, sent or framed.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HTML = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}


@cache
def _index() -> bytes:
    return (files("medray.serving.http") / "index.html").read_bytes()


async def index(_: Request) -> Response:
    """The page for a person with an image."""
    return Response(_index(), 200, HTML, "text/html")


@guarded
async def metadata(request: Request) -> Response:
    """What the model is, how good, and what it is not for."""
    return reply(service_of(request).model.public())


@guarded
async def metrics(request: Request) -> Response:
    """Prometheus metrics of all replicas."""
    return Response(render(await service_of(request).all_metrics()), 200, media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """The interface's description (OpenAPI 3.1)."""
    return reply(describe(service_of(request)))


async def docs(request: Request) -> Response:
    """The same for people."""
    return Response(page(describe(service_of(request))), 200, HTML, "text/html")
