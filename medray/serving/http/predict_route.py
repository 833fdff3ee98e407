"""POST /predict: one image as the body, or several in a form, each answered by itself or all as one case."""

from starlette.requests import Request
from starlette.responses import Response

from medray.errors import unknown_choice_line
from medray.serving.engine.answering import CaseRequest, PredictRequest
from medray.serving.engine.answers import response_of
from medray.serving.engine.problems import Kind, Problem
from medray.serving.http.dicom_answers import DicomRequest, dicom_request
from medray.serving.http.request_body import MULTIPART, media_type, read_body, read_files
from medray.serving.http.responses import (
    check_has_cases,
    guarded,
    json_response,
    patient_of,
    request_id_of,
    service_of,
)

IMAGE_TYPES = (
    "image/png",
    "image/jpeg",
    "image/tiff",
    "image/bmp",
    "application/dicom",
    "application/octet-stream",
)
PARAMETERS = ("explain", "label", "case", "answer")
YES, NO = ("true", "1", "yes"), ("false", "0", "no")


@guarded
async def predict(request: Request) -> Response:
    """Classify the images of the body."""
    service = service_of(request)
    # Only what the sender calls it: the format itself is read from the content.
    content_type = request.headers.get("content-type", "application/octet-stream")
    accepted = (*IMAGE_TYPES, MULTIPART)
    if media_type(content_type) not in accepted:
        raise Problem(
            Kind.UNSUPPORTED_FORMAT, f"Content-Type '{content_type:.80}' is none of {', '.join(accepted)}"
        )
    dicom = dicom_request(request)
    explain, label = _explain(request, dicom)
    as_case = _as_case(request)
    if dicom is not None and as_case:
        raise Problem(Kind.NOT_ACCEPTABLE, "case=true has no answer in DICOM; send Accept: application/json")
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        files = read_files(body, content_type, service.settings, as_case=as_case)
        del body
        sources = None if dicom is None else await dicom.read(service, files)
        request_id, token = request_id_of(request), request.scope["state"]["token"]
        patient = patient_of(request)
        images = [PredictRequest(file.content, request_id, token, file.name, patient=patient) for file in files]
        answers = await service.predict([CaseRequest(tuple(images))] if as_case else images)
        if dicom is not None and sources is not None:
            return await dicom.respond(service, answers, files, sources, label)
        predictions = [answer.prediction for answer in answers]
        if explain:
            predictions = await service.explain(answers, label)
    return json_response(response_of(answers[0].model.identity, request_id, predictions))


def _explain(request: Request, dicom: DicomRequest | None) -> tuple[bool, str | None]:
    """Return whether to explain the answer in JSON, and the class to explain if one is named."""
    for key in request.query_params:
        if key not in PARAMETERS:
            raise Problem(Kind.BAD_REQUEST, unknown_choice_line("parameter", key[:40], PARAMETERS))
    explain, label = _is_true(request, "explain"), request.query_params.get("label")
    if dicom is not None and explain:
        raise Problem(Kind.BAD_REQUEST, "explain=true is of answers in JSON; in DICOM it is answer=overlay")
    option = "explain=true" if dicom is None else "answer=overlay"
    if label is not None and not (explain or (dicom is not None and dicom.has_overlay)):
        raise Problem(Kind.BAD_REQUEST, f"label is the class that {option} explains; give that too")
    names = service_of(request).model.ensemble.class_names  # an exchange keeps them
    if label is not None and label not in names:
        raise Problem(Kind.BAD_REQUEST, unknown_choice_line("label", label[:80], names))
    return explain, label


def _as_case(request: Request) -> bool:
    """Return whether all images of the request are of one case.

    Raises:
        Problem: the model answers images, not cases.
    """
    as_case = _is_true(request, "case")
    if as_case:
        check_has_cases(service_of(request).model, "case=true", "without it each image is answered by itself")
    return as_case


def _is_true(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in YES + NO:
        raise Problem(Kind.BAD_REQUEST, f"{name} is '{value:.40}'; it must be true or false")
    return value in YES
