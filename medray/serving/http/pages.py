"""GET routes: the page, the model's metadata, metrics, and the interface's description."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from medray.serving.http.openapi import describe
from medray.serving.http.openapi_page import page
from medray.serving.http.responses import guarded, json_response, service_of
from medray.serving.telemetry.totals import CONTENT_TYPE, render

#: The page's script and style lie in it; nothing else may be loaded, sent or framed.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
HTML = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}


async def index(_: Request) -> Response:
    """Return the page on which a person tries images."""
    return Response((files("medray.serving.http") / "index.html").read_bytes(), 200, HTML, "text/html")


@guarded
async def metadata(request: Request) -> Response:
    """Return what the model is, how good, and what it is not for."""
    return json_response(service_of(request).model.metadata())


@guarded
async def metrics(request: Request) -> Response:
    """Return the Prometheus metrics of all replicas."""
    return Response(render(await service_of(request).all_metrics()), 200, media_type=CONTENT_TYPE)


async def openapi(request: Request) -> Response:
    """Return the interface's description (OpenAPI 3.1)."""
    return JSONResponse(describe(service_of(request)))


async def docs(request: Request) -> Response:
    """Return the interface's description as a page."""
    return Response(page(describe(service_of(request))), 200, HTML, "text/html")
