"""POST /predict: one image as the body, or several in a form."""

from starlette.requests import Request
from starlette.responses import Response

from medray.serving.engine.answering import Asked
from medray.serving.engine.problems import Problem
from medray.serving.http.request_body import MULTIPART, files_in, read_body
from medray.serving.http.responses import guarded, reply, request_id_of, service_of

ACCEPTED = (
    "image/png", "image/jpeg", "image/tiff", "image/bmp", "application/dicom", "application/octet-stream",
    MULTIPART,
)  # fmt: skip
YES, NO = ("true", "1", "yes"), ("false", "0", "no")


@guarded
async def predict(request: Request) -> Response:
    """Classify the images of the body."""
    service = service_of(request)
    content_type = _content_type(request)
    explain = _explain(request)
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        files = files_in(body, content_type, service.settings)
        del body
        request_id, token = request_id_of(request), request.scope["state"]["token"]
        told = await service.predict([Asked(file.content, request_id, token, file.name) for file in files])
        predictions = [one.answer for one in told]
        if explain:
            overlays = await service.explain(told)
            predictions = [one | {"overlay": png} for one, png in zip(predictions, overlays, strict=True)]
    return reply({"model": told[0].model.identity, "request_id": request_id, "predictions": predictions})


def _content_type(request: Request) -> str:
    """What the sender says that it is. What an image really is, is read from its content."""
    said = request.headers.get("content-type", "application/octet-stream")
    if said.partition(";")[0].strip().lower() not in ACCEPTED:
        raise Problem("unsupported-format", f"Content-Type '{said:.80}' is none of {', '.join(ACCEPTED)}")
    return said


def _explain(request: Request) -> bool:
    for key in request.query_params:
        if key != "explain":
            raise Problem("bad-request", f"unknown parameter '{key:.40}'; there is: explain")
    said = request.query_params.get("explain", "false").lower()
    if said not in YES + NO:
        raise Problem("bad-request", f"explain is '{said:.40}'; it must be true or false")
    return said in YES
