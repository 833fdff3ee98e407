"""POST /admin/ensemble: an administrator exchanges the ensemble of a running service, or goes back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medray.errors import MedrayError, unknown_choice_line
from medray.serving.deploy.rollout import Rollout
from medray.serving.engine.problems import Kind, Problem
from medray.serving.http.request_body import read_body
from medray.serving.http.responses import json_response, service_of, token_name


class ExchangeRequest(BaseModel):
    """The body: the folder of another ensemble, or `back` for the one before."""

    model_config = ConfigDict(strict=True, extra="forbid")

    folder: Annotated[str, Field(min_length=1)] | None = None
    back: bool = False


def admin_route(rollout: Rollout) -> Route:
    """Return the route by which an administrator exchanges the ensemble."""

    async def exchange(request: Request) -> Response:
        """Serve the ensemble of `{"folder": ...}`, or with `{"back": true}` the one before."""
        token_name(request, admin=True)
        service = service_of(request)
        with service.memory.claim() as claim:
            exchange = _read(await read_body(request, service.settings, claim))
        try:
            if exchange.folder is None:
                return json_response(await rollout.back())
            return json_response(await rollout.to(exchange.folder, service.model))
        except MedrayError as error:
            raise Problem(Kind.REFUSED_ENSEMBLE, str(error)) from None

    return Route("/admin/ensemble", exchange, methods=["POST"])


def _read(body: bytes) -> ExchangeRequest:
    try:
        exchange = ExchangeRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            line = unknown_choice_line("key", str(first["loc"][0])[:40], list(ExchangeRequest.model_fields))
            raise Problem(Kind.BAD_REQUEST, line) from None
        exchange = ExchangeRequest()
    if (exchange.folder is not None) == exchange.back:
        raise Problem(Kind.BAD_REQUEST, 'the body must be {"folder": "runs/organs"} or {"back": true}')
    return exchange
