"""The interface's description (OpenAPI 3.1), made of the answers' types and the served model's classes."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from medray import __version__
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.serving.engine.answers import (
    CaseResponse,
    ConformalSet,
    Decision,
    ImageFacts,
    ImageLabels,
    ImagePrediction,
    LabelSetCaseResponse,
    LabelSetResponse,
    PredictResponse,
    SentImage,
    adapter,
    response_of,
    to_plain,
)
from medray.serving.engine.image_answers import image_answers
from medray.serving.engine.metadata import Metadata
from medray.serving.engine.patient_keys import LONGEST
from medray.serving.engine.problems import MEDIA_TYPE, Kind, ProblemDocument
from medray.serving.engine.service import Service
from medray.serving.http.accept import DICOM, RELATED
from medray.serving.http.dicom_answers import DICOM_ANSWERS, REPORT
from medray.serving.http.outcomes_route import Outcome, OutcomesRequest, OutcomesResponse
from medray.serving.http.predict_route import IMAGE_TYPES
from medray.serving.http.v2 import (
    InferResponse,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
)
from medray.serving.http.v2_tensors import InferRequest, InputTensor
from medray.serving.http.v2_values import CASES, IMAGES

Json = dict[str, Any]
TEXT: Json = {"type": "string"}
BYTES: Json = {"type": "string", "format": "binary"}
ANSWERS = (
    Metadata, Live, Ready, ServerMetadata, ModelMetadata, ModelReady, InferResponse,
    OutcomesResponse, ProblemDocument,
)  # fmt: skip
FORM: Json = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": BYTES, "minItems": 1}},
    "required": ["file"],
    "additionalProperties": False,
}
EXPLAIN: Json = {
    "name": "explain",
    "in": "query",
    "description": "Add an overlay of the class activation to each prediction, as a data: URL of a PNG.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}
LABEL: Json = {
    "name": "label",
    "in": "query",
    "description": "With explain=true: the class that the overlay is of, instead of the answer's own.",
    "schema": {"$ref": "#/components/schemas/ClassName"},
}
PATIENT_HEADER: Json = {
    "name": "X-Patient",
    "in": "header",
    "description": "What stands for the patient of all images of the request, such as a pseudonym. It is never "
    "written down: the audit log holds a keyed hash of it, which tells `medray monitor` what is of one patient.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST},
}
CASE: Json = {
    "name": "case",
    "in": "query",
    "description": "All images are of one case, which has one answer; without it each image has its own. "
    "A model that was made to answer images refuses it: see `cases` in /metadata.",
    "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
}


ANSWER: Json = {
    "name": "answer",
    "in": "query",
    "description": "With Accept: application/dicom, the file that a DICOM image is answered by: a structured "
    "report of TID 1500, a Secondary Capture with the overlay, or both "
    '(then Accept: multipart/related; type="application/dicom").',
    "schema": {"type": "string", "enum": list(DICOM_ANSWERS), "default": REPORT},
}


def describe(service: Service) -> Json:
    """Return the description of what this service answers."""
    types: list[tuple[Any, Literal["validation", "serialization"], TypeAdapter[Any]]] = [
        (answer, "serialization", adapter(answer)) for answer in (*_responses(service), *ANSWERS)
    ]
    types += [(asked, "validation", adapter(asked)) for asked in (InferRequest, OutcomesRequest)]
    _, schemas = TypeAdapter.json_schemas(types, ref_template="#/components/schemas/{model}")
    schemas["$defs"]["ClassName"] = {"enum": list(service.model.ensemble.class_names)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"medray: {service.model.name}",
            "version": __version__,
            "description": "Classifies medical images with an averaged ensemble. Research; not for diagnosis.",
        },
        "paths": {**_predict_path(service), **_outcomes_path(service), **PAGES, **_v2_paths(service)},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _responses(service: Service) -> list[type]:
    """Return the types of the answers to /predict, by the model's task; the second is that to a case."""
    ensemble = service.model.ensemble
    responses = [PredictResponse, CaseResponse]
    if ensemble.task.label_sets:
        responses = [LabelSetResponse, LabelSetCaseResponse]
    return responses[: 1 if ensemble.manifest.cases is None else 2]


def _schema(kind: type) -> Json:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _operation(
    summary: str, content: Mapping[str, Json], *problems: Kind, guarded: bool = True, body: Json | None = None,
    parameters: list[Json] | None = None,
) -> Json:  # fmt: skip
    """Describe a method of a path: `content` is the answer by media type, `problems` the others by status."""
    operation: Json = {"summary": summary, "parameters": parameters or []}
    responses: Json = {"200": {"description": summary, "content": dict(content)}}
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    if guarded:
        operation["security"] = [{}, {"token": []}]
        problems = (*problems, Kind.UNAUTHORIZED)
    for kind in sorted(problems, key=lambda kind: kind.status):
        new = {"description": kind.title, "content": {MEDIA_TYPE: {"schema": _schema(ProblemDocument)}}}
        known = responses.setdefault(str(kind.status), new)
        if known is not new:
            known["description"] += f". {kind.title}"
    return {**operation, "responses": responses}


def _get(summary: str, media_type: str, schema: Json, *problems: Kind, **settings: Any) -> Json:
    return {"get": _operation(summary, {media_type: {"schema": schema}}, *problems, **settings)}


PAGES = {
    "/": _get("A page to try it on", "text/html", TEXT, guarded=False),
    "/metadata": _get("What the model is", "application/json", _schema(Metadata)),
    "/metrics": _get("Prometheus metrics of all replicas", "text/plain", TEXT),
    "/docs": _get("This description, for people", "text/html", TEXT, guarded=False),
    "/openapi.json": _get("This description", "application/json", {"type": "object"}, guarded=False),
}


def _predict_path(service: Service) -> Json:
    body = {kind: {"schema": BYTES} for kind in IMAGE_TYPES} | {"multipart/form-data": {"schema": FORM}}
    schemas = [_schema(response) for response in _responses(service)]
    answer = {
        "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
        "example": to_plain(_example(service)),
    }
    operation = _operation(
        "Classify one image (the body) or several (a form's `file` fields)",
        {"application/json": answer, DICOM: {"schema": BYTES}, RELATED: {"schema": BYTES}},
        Kind.BAD_REQUEST, Kind.NOT_ACCEPTABLE, Kind.SLOW_BODY, Kind.BODY_TOO_LARGE, Kind.UNSUPPORTED_FORMAT,
        Kind.UNREADABLE_IMAGE, Kind.OVERLOADED, Kind.TIMEOUT, body=body,
        parameters=[EXPLAIN, LABEL, CASE, ANSWER, PATIENT_HEADER],
    )  # fmt: skip
    return {"/predict": {"post": operation}}


def _outcomes_path(service: Service) -> Json:
    ensemble, request_id = service.model.ensemble, "0f8fad5bd9cb469fa16570867728950e"
    name = ensemble.class_names[0]
    answer = {"labels": {name: True}} if ensemble.task.label_sets else {"label": name}
    example = OutcomesRequest([Outcome(request_id=request_id, **answer)])
    operation = _operation(
        "Say what images really were", {"application/json": {"schema": _schema(OutcomesResponse)}},
        Kind.BAD_REQUEST, Kind.SLOW_BODY, Kind.BODY_TOO_LARGE, Kind.CONFLICT, Kind.OVERLOADED, Kind.AUDIT_FAILED,
        body={"application/json": {"schema": _schema(OutcomesRequest), "example": to_plain(example)}},
    )  # fmt: skip
    return {"/outcomes": {"post": operation}}


def _v2_paths(service: Service) -> Json:
    def get(summary: str, kind: type, *problems: Kind, **settings: Any) -> Json:
        return _get(summary, "application/json", _schema(kind), *problems, **settings)

    name = {"name": "name", "in": "path", "required": True, "schema": TEXT, "example": service.model.name}
    version = {**name, "name": "version", "example": service.model.version}
    size = math.prod(service.model.shape)
    pixels = [0] * size if size <= 4096 else []
    tensors = [InputTensor(IMAGES, [1, *service.model.shape], "UINT8", pixels)]
    if service.model.ensemble.manifest.cases is not None:
        tensors.append(InputTensor(CASES, [1], "INT64", [7]))
    example = InferRequest(tensors, "42")
    body = {"application/json": {"schema": _schema(InferRequest), "example": to_plain(example)}}
    outputs = {
        "application/json": {"schema": _schema(InferResponse)},
        "application/octet-stream": {"schema": BYTES},
    }
    paths = {
        "/v2": get("The server's name and extensions", ServerMetadata),
        "/v2/health/live": get("Whether the process answers", Live, guarded=False),
        "/v2/health/ready": get("Whether every replica has answered", Ready, Kind.NOT_READY, guarded=False),
    }
    for base, parameters in (
        ("/v2/models/{name}", [name]), ("/v2/models/{name}/versions/{version}", [name, version]),
    ):  # fmt: skip
        paths[base] = get("Inputs and outputs", ModelMetadata, Kind.NOT_FOUND, parameters=parameters)
        paths[f"{base}/ready"] = get(
            "Whether the model takes requests", ModelReady, Kind.NOT_FOUND, Kind.NOT_READY, parameters=parameters
        )
        infer = _operation(
            "Classify the images of a tensor, or cases of them", outputs, Kind.BAD_REQUEST, Kind.NOT_FOUND,
            Kind.SLOW_BODY, Kind.BODY_TOO_LARGE, Kind.OVERLOADED, Kind.TIMEOUT, body=body,
            parameters=[*parameters, PATIENT_HEADER],
        )  # fmt: skip
        paths[f"{base}/infer"] = {"post": infer}
    return paths


def _example(service: Service) -> object:
    ensemble = service.model.ensemble
    names, points = ensemble.class_names, ensemble.operating_points
    image = vars(SentImage(file=None, image=ImageFacts("png", 512, 512), sha256="0" * 64))
    prediction: ImagePrediction | ImageLabels
    if ensemble.task.label_sets:
        table = np.array([[0.9] + [0.1] * (len(names) - 1)], dtype=np.float32)
        labelled = LabelSetPrediction(table, names, points, ensemble.conformal)
        (answer,) = image_answers(labelled, [["resized"]], [None])
        prediction = ImageLabels(**vars(answer), **image)
    else:
        prediction = ImagePrediction(
            label=names[0],
            probabilities={name: 0.9 if name == names[0] else round(0.1 / (len(names) - 1), 4) for name in names},
            decisions=[
                Decision(p.name, p.positive, names[p.event.class_index], min(1.0, p.threshold), p.threshold, True)
                for p in points
            ],
            sets=[ConformalSet(conformal.coverage, [names[0]]) for conformal in ensemble.conformal],
            flags=["resized"],
            ood=None,
            **image,
        )
    return response_of(service.model.identity, "0f8fad5bd9cb469fa16570867728950e", [prediction])
