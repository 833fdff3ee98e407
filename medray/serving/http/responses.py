"""The part that all routes share: the sender's token, the request's id, and answers as JSON."""

import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from medray.serving.engine.answers import to_plain
from medray.serving.engine.audit_log import AuditError
from medray.serving.engine.patient_keys import LONGEST
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.engine.service import Service
from medray.serving.engine.tokens import Denied

PATIENT = "x-patient"  # the header
Handler = Callable[[Request], Awaitable[Response]]


def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    service: Service = request.scope["app"].service
    return service


def request_id_of(request: Request) -> str:
    """Return the id of a request."""
    request_id: str = request.scope["state"]["request_id"]
    return request_id


def patient_of(request: Request) -> str | None:
    """Return the key of the patient that the header names, None where it names none or nothing is logged.

    Raises:
        Problem: the name is too long, or the key can't be made.
    """
    service, header = service_of(request), request.headers.get(PATIENT)
    if header is None or service.audit is None:
        return None
    try:
        name = header.encode("latin-1").decode("utf-8").strip()  # Starlette takes all headers for Latin-1
    except UnicodeDecodeError:
        raise Problem(Kind.BAD_REQUEST, "X-Patient is not UTF-8") from None
    if not 0 < len(name) <= LONGEST:
        raise Problem(Kind.BAD_REQUEST, f"X-Patient must have 1 to {LONGEST} characters")
    return patient_key(service, name)


def patient_key(service: Service, name: str) -> str:
    """Return the key that stands for a patient in the logs.

    Raises:
        Problem: the service's secret can't be read.
    """
    try:
        return service.patient_keys.key(name)
    except AuditError as error:
        raise Problem(Kind.AUDIT_FAILED, "the key of the patient can't be made") from error


def check_has_cases(model: ServedModel, asked: str, way_out: str) -> None:
    """Check that a model answers cases, which a request asks for by the text `asked`.

    Raises:
        Problem: it answers images.
    """
    if model.ensemble.manifest.cases is None:
        raise Problem(
            Kind.BAD_REQUEST,
            f"{asked}, and this model was made to answer images: its search space has no `cases`; {way_out}",
        )


def to_json(answer: object) -> bytes:
    """Write an answer as JSON.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(to_plain(answer), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def json_response(answer: object) -> Response:
    """Return an answer as a response of JSON."""
    return Response(to_json(answer), 200, media_type="application/json")


def token_name(request: Request, *, admin: bool = False) -> str | None:
    """Return the name of the sender's token, None where the service requires none.

    Raises:
        Problem: the token is missing or wrong, or does not permit this.
    """
    service = service_of(request)
    if service.tokens is None:
        if admin:
            raise Problem(Kind.FORBIDDEN, "this service has no --token-file, so nobody is its administrator")
        return None
    try:
        return service.tokens.check(request.headers.get("authorization"), admin=admin)
    except Denied as denied:
        service.telemetry.refused(denied.reason)
        if denied.reason == "not_admin":
            raise Problem(Kind.FORBIDDEN, "this token is no administrator's") from None
        raise Problem(Kind.UNAUTHORIZED, "send a token: Authorization: Bearer TOKEN") from None


def guarded(handler: Handler) -> Handler:
    """Return a handler that answers only requests with a token, where the service has tokens."""

    async def checked(request: Request) -> Response:
        request.scope["state"]["token"] = token_name(request)
        return await handler(request)

    return checked
