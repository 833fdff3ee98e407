"""POST /outcomes: what images really were, as it becomes known after the answer; `medray monitor` reads it."""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from medray.errors import unknown_choice_line
from medray.serving.engine.answers import ClassName
from medray.serving.engine.audit_log import AuditError
from medray.serving.engine.problems import Kind, Problem
from medray.serving.http.request_body import read_body, read_json
from medray.serving.http.responses import guarded, json_response, service_of

MOST = 10_000  # of a request


@dataclass(frozen=True)
class Outcome:
    """The true class of an image that was answered: by the request's id, the image's SHA-256, or both.

    Of a request with several images the SHA-256 is needed.
    """

    label: ClassName
    request_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


@dataclass(frozen=True)
class OutcomesRequest:
    """Outcomes; a later one of the same image takes the place of an earlier one."""

    outcomes: Annotated[list[Outcome], Field(min_length=1, max_length=MOST)]


@dataclass(frozen=True)
class OutcomesResponse:
    """The number of outcomes that were written down."""

    accepted: int


@guarded
async def outcomes(request: Request) -> Response:
    """Write outcomes down, all or none."""
    service = service_of(request)
    if service.audit is None:
        raise Problem(Kind.CONFLICT, "this service keeps no audit log, so outcomes have no answers to belong to")
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        asked = read_json(body, OutcomesRequest)
    names = service.model.ensemble.class_names
    for number, outcome in enumerate(asked.outcomes):
        if outcome.label not in names:
            line = unknown_choice_line("class", outcome.label[:80], names)
            raise Problem(Kind.BAD_REQUEST, f"outcomes.{number}.label: {line}")
        if outcome.request_id is None and outcome.sha256 is None:
            raise Problem(Kind.BAD_REQUEST, f"outcomes.{number} names neither request_id nor sha256")
    moment = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    token = request.scope["state"]["token"]
    try:
        service.outcome_log.write(
            [{"time": moment, "token": token, **asdict(outcome)} for outcome in asked.outcomes]
        )
    except AuditError as error:
        raise Problem(Kind.AUDIT_FAILED, "outcomes can't be written down") from error
    return json_response(OutcomesResponse(len(asked.outcomes)))
