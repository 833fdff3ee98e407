"""POST /outcomes: what images really were, as it becomes known after the answer; `medray monitor` reads it."""

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from medray.ensemble.ensemble import Ensemble
from medray.errors import unknown_choice_line
from medray.serving.engine.answers import ClassName
from medray.serving.engine.audit_log import AuditError
from medray.serving.engine.patient_keys import LONGEST
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.service import Service
from medray.serving.http.request_body import read_body, read_json
from medray.serving.http.responses import guarded, json_response, patient_key, service_of

MOST = 10_000  # of a request


@dataclass(frozen=True)
class Outcome:
    """What an image or a case that was answered really was: by the request's id, the image's SHA-256, or both.

    Of a request with several images that are no case the SHA-256 is needed. `label` is the true class; of a model
    of several labels `labels` says which it has and has not, and those that are not named are not known. `patient`
    is what stands for the patient, as in the header X-Patient: it is never written down, a keyed hash of it is.
    """

    label: ClassName | None = None
    labels: Annotated[dict[ClassName, bool], Field(min_length=1)] | None = None
    request_id: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    patient: Annotated[str, Field(pattern=r"\S", max_length=LONGEST)] | None = None


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
    for number, outcome in enumerate(asked.outcomes):
        _check(outcome, f"outcomes.{number}", service.model.ensemble)
    moment = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    token = request.scope["state"]["token"]
    try:
        service.outcome_log.write([
            {"time": moment, "token": token, **asdict(outcome), "patient": _key(service, outcome.patient)}
            for outcome in asked.outcomes
        ])  # fmt: skip
    except AuditError as error:
        raise Problem(Kind.AUDIT_FAILED, "outcomes can't be written down") from error
    return json_response(OutcomesResponse(len(asked.outcomes)))


def _check(outcome: Outcome, where: str, ensemble: Ensemble) -> None:
    """Check that an outcome says what the model's task asks, of an answer that it names.

    Raises:
        Problem: it does not.
    """
    task, names = ensemble.task, ensemble.class_names
    given, other = ("labels", "label") if task.label_sets else ("label", "labels")
    value = getattr(outcome, given)
    if value is None or getattr(outcome, other) is not None:
        form = '{"NAME": true, "OTHER": false}' if task.label_sets else '"NAME"'
        gives = "several labels, or none" if task.label_sets else "one class"
        line = f"{where}.{given} is needed, and no {other}: this model gives an image {gives}"
        raise Problem(Kind.BAD_REQUEST, f'{line}; "{given}": {form}')
    for name in [value] if given == "label" else value:
        if name not in names:
            raise Problem(Kind.BAD_REQUEST, f"{where}.{given}: {unknown_choice_line(task.noun, name[:80], names)}")
    if outcome.request_id is None and outcome.sha256 is None:
        raise Problem(Kind.BAD_REQUEST, f"{where} names neither request_id nor sha256")


def _key(service: Service, patient: str | None) -> str | None:
    return None if patient is None else patient_key(service, patient)
