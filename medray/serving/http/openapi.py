"""The interface's description (OpenAPI 3.1), with the served model's own classes and shape in the examples."""

from collections.abc import Mapping
from typing import Any

from medray import __version__
from medray.serving.engine.problems import KINDS, MEDIA_TYPE
from medray.serving.engine.service import Service

IMAGE_TYPES = (
    "image/png",
    "image/jpeg",
    "image/tiff",
    "image/bmp",
    "application/dicom",
    "application/octet-stream",
)
Json = dict[str, Any]


def describe(service: Service) -> Json:
    """Describe what this service answers."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"medray: {service.model.name}",
            "version": __version__,
            "description": "Classifies medical images with an averaged ensemble. Research; not for diagnosis.",
        },
        "paths": {**_predict_path(service), **_page_paths(), **_v2_paths(service)},
        "components": {
            "schemas": _schemas(service),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(description: str, media: Mapping[str, Json] | None = None) -> Json:
    return {"description": description, **({"content": dict(media)} if media else {})}


def _problems(*kinds: str) -> Json:
    by_status: dict[int, list[str]] = {}
    for kind in kinds:
        by_status.setdefault(KINDS[kind].status, []).append(KINDS[kind].title)
    return {
        str(status): _answer(". ".join(titles), {MEDIA_TYPE: {"schema": _schema("Problem")}})
        for status, titles in sorted(by_status.items())
    }


def _operation(
    summary: str, answers: Json, *problems: str, guarded: bool = True, body: Json | None = None,
    parameters: list[Json] | None = None,
) -> Json:  # fmt: skip
    found: Json = {"summary": summary, "parameters": parameters or []}
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    if guarded:
        found["security"] = [{}, {"token": []}]
        problems = (*problems, "unauthorized")
    return {**found, "responses": {**answers, **_problems(*problems)}}


def _predict_path(service: Service) -> Json:
    body: Json = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in IMAGE_TYPES}
    body["multipart/form-data"] = {
        "schema": {
            "type": "object",
            "properties": {
                "file": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
            },
            "required": ["file"],
            "additionalProperties": False,
        }
    }
    answer = {"application/json": {"schema": _schema("Answer"), "example": _example(service)}}
    explain = {
        "name": "explain",
        "in": "query",
        "description": "Add a Grad-CAM overlay to each prediction, as a data: URL of a PNG.",
        "schema": {"type": "string", "enum": ["true", "false"], "default": "false"},
    }
    problems = (
        "bad-request", "slow-body", "body-too-large", "unsupported-format", "unreadable-image", "overloaded",
        "timeout",
    )  # fmt: skip
    summary = "Classify one image (the body) or several (a form's `file` fields)"
    operation = _operation(
        summary, {"200": _answer("Predictions", answer)}, *problems, body=body, parameters=[explain]
    )
    return {"/predict": {"post": operation}}


def _page_paths() -> Json:
    def get(summary: str, media: str, schema: Json, *, guarded: bool) -> Json:
        return {
            "get": _operation(summary, {"200": _answer(summary, {media: {"schema": schema}})}, guarded=guarded)
        }

    return {
        "/": get("A page to try it on", "text/html", {"type": "string"}, guarded=False),
        "/metadata": get("What the model is", "application/json", _schema("Metadata"), guarded=True),
        "/metrics": get("Prometheus metrics of all replicas", "text/plain", {"type": "string"}, guarded=True),
        "/docs": get("This description, for people", "text/html", {"type": "string"}, guarded=False),
        "/openapi.json": get("This description", "application/json", {"type": "object"}, guarded=False),
    }


def _v2_paths(service: Service) -> Json:
    json_object = {"application/json": {"schema": {"type": "object"}}}
    text = {"type": "string"}
    name = {"name": "name", "in": "path", "required": True, "schema": text, "example": service.model.name}
    version = {**name, "name": "version", "example": service.model.version}
    infer_body = {"application/json": {"schema": _schema("Inference"), "example": _infer_example(service)}}
    octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    infer_answers = {"200": _answer("Outputs; as octets where binary data was asked for", json_object | octets)}
    found: Json = {
        "/v2": {"get": _operation("Server metadata", {"200": _answer("Metadata", json_object)})},
        "/v2/health/live": {"get": _operation("Is it there", {"200": _answer("Yes", json_object)}, guarded=False)},
        "/v2/health/ready": {
            "get": _operation(
                "Has every replica answered", {"200": _answer("Yes", json_object)}, "not-ready", guarded=False
            )
        },
    }
    for base, parameters in (
        ("/v2/models/{name}", [name]), ("/v2/models/{name}/versions/{version}", [name, version]),
    ):  # fmt: skip
        ok = {"200": _answer("Yes", json_object)}
        problems = ("bad-request", "not-found", "slow-body", "body-too-large", "overloaded", "timeout")
        found[base] = {"get": _operation("Inputs and outputs", ok, "not-found", parameters=parameters)}
        found[f"{base}/ready"] = {
            "get": _operation("Can it be asked", ok, "not-found", "not-ready", parameters=parameters)
        }
        found[f"{base}/infer"] = {
            "post": _operation(
                "Classify the images of a tensor", infer_answers, *problems, body=infer_body, parameters=parameters
            )
        }
    return found


def _object(properties: Json, **more: Any) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _schemas(service: Service) -> Json:
    text, number, flag = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    one_of_classes = {"enum": list(service.model.ensemble.class_names)}
    decision = _object({"operating_point": text, "class": one_of_classes, "threshold": number, "positive": flag})
    prediction = _object(
        {
            "file": {"type": ["string", "null"], "description": "the form's file name"},
            "label": one_of_classes,
            "probabilities": {"type": "object", "additionalProperties": share, "description": "calibrated"},
            "decisions": _list(decision),
            "sets": _list(_object({"coverage": share, "classes": _list(one_of_classes)})),
            "flags": {**_list(text), "description": "out_of_distribution, and what was done to the image"},
            "novelty": {"anyOf": [{"type": "null"}, _object({"score": number, "threshold": number})]},
            "image": _object({"format": text, "height": {"type": "integer"}, "width": {"type": "integer"}}),
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        }
    )
    prediction["properties"]["overlay"] = {
        "type": "string",
        "description": "data: URL of a PNG, with explain=true",
    }
    model = _object({"name": text, "version": text})
    tensor = _object({
        "name": text, "shape": _list({"type": "integer", "minimum": 0}), "datatype": {"enum": ["UINT8"]},
    })  # fmt: skip
    tensor["properties"] |= {"data": {"type": "array"}, "parameters": {"type": "object"}}
    inference = _object({"inputs": {**_list(tensor), "minItems": 1}})
    inference["properties"] |= {
        "id": text,
        "outputs": _list(_object({"name": text})),
        "parameters": {"type": "object"},
    }
    return {
        "Answer": _object({"model": model, "request_id": text, "predictions": _list(prediction)}),
        "Inference": inference,
        "Metadata": _object({"name": text, "version": text, "classes": _list(text), "intended_use": text}),
        "Problem": _object(
            {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "request_id": text}
        ),
    }


def _example(service: Service) -> Json:
    ensemble = service.model.ensemble
    names = ensemble.class_names
    share = round(0.1 / (len(names) - 1), 4)
    return {
        "model": service.model.identity,
        "request_id": "0f8fad5bd9cb469fa16570867728950e",
        "predictions": [
            {
                "file": None,
                "label": names[0],
                "probabilities": {name: 0.9 if name == names[0] else share for name in names},
                "decisions": [
                    {
                        "operating_point": point.name,
                        "class": point.positive,
                        "threshold": point.threshold,
                        "positive": True,
                    }
                    for point in ensemble.operating_points
                ],
                "sets": [{"coverage": own.coverage, "classes": [names[0]]} for own in ensemble.conformal],
                "flags": ["resized"],
                "novelty": None,
                "image": {"format": "png", "height": 512, "width": 512},
                "sha256": "0" * 64,
            }
        ],
    }  # fmt: skip


def _infer_example(service: Service) -> Json:
    height, width, channels = service.model.shape
    data = [0] * (height * width * channels) if height * width * channels <= 4096 else []
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, height, width, channels], "data": data}
    return {"id": "42", "inputs": [tensor]}
