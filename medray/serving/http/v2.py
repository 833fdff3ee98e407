"""The Open Inference Protocol (KServe v2) over HTTP, with its binary tensor extension.

https://github.com/kserve/open-inference-protocol   the protocol
https://github.com/triton-inference-server/server   docs/protocol/extension_binary_data.md
"""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medray._types import Array
from medray.data.decoding import Decoded
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.errors import unknown_choice_line
from medray.serving.engine.answering import Asked, Told
from medray.serving.engine.problems import Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.http.request_body import read_body
from medray.serving.http.responses import guarded, plain_json, reply, request_id_of, service_of
from medray.serving.http.v2_tensors import HEADER, Inference, read_inference, written

IMAGES = "images"


def inputs_of(model: ServedModel) -> list[dict[str, Any]]:
    """The one input: uint8 images."""
    return [{"name": IMAGES, "datatype": "UINT8", "shape": [-1, *model.shape]}]


def outputs_of(model: ServedModel) -> list[dict[str, Any]]:
    """All outputs that this model can give."""
    ensemble = model.ensemble
    classes, points, sets = len(ensemble.class_names), len(ensemble.operating_points), len(ensemble.conformal)
    found: list[dict[str, Any]] = [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, classes]},
        {"name": "class_index", "datatype": "INT64", "shape": [-1]},
        {"name": "label", "datatype": "BYTES", "shape": [-1]},
    ]
    if points:
        found.append({"name": "positive", "datatype": "BOOL", "shape": [-1, points]})
    if sets:
        found.append({"name": "in_set", "datatype": "BOOL", "shape": [-1, sets, classes]})
    if ensemble.novelty is not None:
        found.append({"name": OUT_OF_DISTRIBUTION, "datatype": "BOOL", "shape": [-1]})
    return found


def _values(model: ServedModel, told: list[Told]) -> dict[str, Array]:
    names, answers = model.ensemble.class_names, [one.answer for one in told]
    return {
        "probabilities": np.array([[a["probabilities"][n] for n in names] for a in answers], dtype=np.float32),
        "class_index": np.array([names.index(a["label"]) for a in answers], dtype=np.int64),
        "label": np.array([a["label"].encode() for a in answers], dtype=object),
        "positive": np.array([[d["positive"] for d in a["decisions"]] for a in answers], dtype=bool),
        "in_set": np.array([[[n in s["classes"] for n in names] for s in a["sets"]] for a in answers], dtype=bool),
        OUT_OF_DISTRIBUTION: np.array([OUT_OF_DISTRIBUTION in a["flags"] for a in answers], dtype=bool),
    }


def _model(request: Request) -> ServedModel:
    model, params = service_of(request).model, request.path_params
    if params["name"] != model.name:
        raise Problem("not-found", unknown_choice_line("model", params["name"][:80], [model.name]))
    wanted = params.get("version", model.version)
    if wanted != model.version:
        raise Problem("not-found", unknown_choice_line("version", wanted[:80], [model.version]))
    return model


async def live(_: Request) -> Response:
    """Whether the process answers at all."""
    return reply({"live": True})


async def ready(request: Request) -> Response:
    """Whether every replica has answered a prediction and takes more."""
    service = service_of(request)
    if service.draining or not await service.ready():
        raise Problem("not-ready", "not all replicas are there, or the service is ending")
    return reply({"ready": True})


@guarded
async def server(_: Request) -> Response:
    """The server's metadata."""
    from medray import __version__

    return reply({"name": "medray", "version": __version__, "extensions": ["binary_tensor_data"]})


@guarded
async def model_metadata(request: Request) -> Response:
    """The model's inputs and outputs."""
    model = _model(request)
    return reply(
        {
            "name": model.name,
            "versions": [model.version],
            "platform": "medray_ensemble",
            "inputs": inputs_of(model),
            "outputs": outputs_of(model),
        }
    )


@guarded
async def model_ready(request: Request) -> Response:
    """Whether the model can be asked."""
    model = _model(request)
    await ready(request)
    return reply({"name": model.name, "ready": True})


@guarded
async def infer(request: Request) -> Response:
    """Classify the images of one tensor."""
    service, model = service_of(request), _model(request)
    known = [output["name"] for output in outputs_of(model)]
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        asked = read_inference(body, request.headers.get(HEADER))
        images = _images(asked, model, service.settings.max_batch)
        for name in asked.outputs:
            if name not in known:
                raise Problem("bad-request", unknown_choice_line("output", name[:80], known))
        ids = request_id_of(request), request.scope["state"]["token"]
        height, width, _ = model.shape
        told = await service.predict(
            [
                Asked(image.tobytes(), *ids, decoded=Decoded(image, "tensor", height, width, (), (height, width)))
                for image in images
            ]
        )
    answered = told[0].model
    values = _values(answered, told)
    datatypes = {output["name"]: output["datatype"] for output in outputs_of(answered)}
    outputs, binary = written(
        {name: (datatypes[name], values[name]) for name in asked.outputs or known}, asked.binary_outputs
    )
    head: dict[str, Any] = {"model_name": answered.name, "model_version": answered.version, "outputs": outputs}
    if asked.id is not None:
        head["id"] = asked.id
    text = plain_json(head)
    if not binary:
        return Response(text, 200, media_type="application/json")
    headers = {HEADER: str(len(text))}
    return Response(text + binary, 200, headers, "application/octet-stream")


def _images(asked: Inference, model: ServedModel, most: int) -> Array:
    if list(asked.inputs) != [IMAGES]:
        given = ", ".join(name[:40] for name in asked.inputs) or "none"
        raise Problem("bad-request", f"inputs are {given}; there must be one, '{IMAGES}'")
    images = asked.inputs[IMAGES]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != model.shape or not len(images):
        wanted = ", ".join(map(str, model.shape))
        raise Problem(
            "bad-request", f"'{IMAGES}' is {images.dtype} {list(images.shape)}; it must be UINT8 [N, {wanted}]"
        )
    if len(images) > most:
        raise Problem("too-many-files", f"a request may hold {most} images at most, not {len(images)}")
    return images


_MODEL, _VERSION = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
ROUTES = [
    Route("/v2/health/live", live, methods=["GET"]),
    Route("/v2/health/ready", ready, methods=["GET"]),
    Route("/v2", server, methods=["GET"]),
    *(
        Route(f"{base}{path}", handler, methods=[method])
        for base in (_MODEL, _VERSION)
        for path, handler, method in (
            ("", model_metadata, "GET"),
            ("/ready", model_ready, "GET"),
            ("/infer", infer, "POST"),
        )
    ),
]
