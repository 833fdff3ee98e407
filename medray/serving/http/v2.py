"""The Open Inference Protocol (KServe v2) over HTTP, with its binary tensor extension.

https://github.com/kserve/open-inference-protocol   the protocol
https://github.com/triton-inference-server/server   docs/protocol/extension_binary_data.md
"""

from dataclasses import dataclass

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medray import __version__
from medray.data.decoding import Decoded
from medray.errors import unknown_choice_line
from medray.serving.engine.answering import CaseRequest, PredictRequest
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.http.request_body import read_body
from medray.serving.http.responses import (
    guarded,
    json_response,
    patient_of,
    request_id_of,
    service_of,
    to_json,
)
from medray.serving.http.v2_tensors import LENGTH_HEADER, OutputTensor, read_inference, write_tensors
from medray.serving.http.v2_values import (
    CASES,
    TensorFacts,
    checked_inputs,
    model_inputs,
    model_outputs,
    of_cases,
    output_values,
)


@dataclass(frozen=True)
class Live:
    """The answer of a process that answers at all."""

    live: bool


@dataclass(frozen=True)
class Ready:
    """The answer of a service of which every replica has answered a prediction and takes more."""

    ready: bool


@dataclass(frozen=True)
class ServerMetadata:
    """The server and the extensions of the protocol that it knows."""

    name: str
    version: str
    extensions: list[str]


@dataclass(frozen=True)
class ModelMetadata:
    """The model's inputs and outputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


@dataclass(frozen=True)
class ModelReady:
    """Whether the model takes requests."""

    name: str
    ready: bool


@dataclass(frozen=True)
class InferResponse:
    """The outputs of a request; `id` is the request's own."""

    model_name: str
    model_version: str
    outputs: list[OutputTensor]
    id: str | None = None


def _requested_model(request: Request) -> ServedModel:
    model, params = service_of(request).model, request.path_params
    if params["name"] != model.name:
        raise Problem(Kind.NOT_FOUND, unknown_choice_line("model", params["name"][:80], [model.name]))
    version = params.get("version", model.version)
    if version != model.version:
        raise Problem(Kind.NOT_FOUND, unknown_choice_line("version", version[:80], [model.version]))
    return model


async def live(_: Request) -> Response:
    """Answer whether the process answers at all."""
    return json_response(Live(True))


async def ready(request: Request) -> Response:
    """Answer whether every replica has answered a prediction and takes more."""
    service = service_of(request)
    if not await service.ready():
        raise Problem(Kind.NOT_READY, "not all replicas are there, or the service is ending")
    return json_response(Ready(True))


@guarded
async def server(_: Request) -> Response:
    """Answer with the server's metadata."""
    return json_response(ServerMetadata("medray", __version__, ["binary_tensor_data"]))


@guarded
async def model_metadata(request: Request) -> Response:
    """Answer with the model's inputs and outputs."""
    model = _requested_model(request)
    inputs, outputs = model_inputs(model), model_outputs(model)
    return json_response(ModelMetadata(model.name, [model.version], "medray_ensemble", inputs, outputs))


@guarded
async def model_ready(request: Request) -> Response:
    """Answer whether the model takes requests."""
    model = _requested_model(request)
    await ready(request)
    return json_response(ModelReady(model.name, True))


@guarded
async def infer(request: Request) -> Response:
    """Classify the images of one tensor, or the cases that a second one puts them into."""
    service, model = service_of(request), _requested_model(request)
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        inference, inputs = read_inference(body, request.headers.get(LENGTH_HEADER))
        images, numbers = checked_inputs(inputs, model, service.settings.max_batch)
        valid = [output.name for output in model_outputs(model)]
        requested = [output.name for output in inference.outputs or ()]
        for name in requested:
            if name not in valid:
                raise Problem(Kind.BAD_REQUEST, unknown_choice_line("output", name[:80], valid))
        ids, patient = (request_id_of(request), request.scope["state"]["token"]), patient_of(request)
        height, width, _ = model.shape
        decoded = [Decoded(image, "tensor", height, width, (), (height, width)) for image in images]
        requests = [
            PredictRequest(image.pixels.tobytes(), *ids, decoded=image, patient=patient) for image in decoded
        ]
        rows = {number: np.flatnonzero(numbers == number) for number in dict.fromkeys(numbers.tolist())}
        if CASES in inputs:
            cases = [CaseRequest(tuple(requests[row] for row in members)) for members in rows.values()]
            answers = await service.predict(cases)
        else:
            answers = await service.predict(requests)
    model = answers[0].model  # another one where it was exchanged meanwhile
    values = output_values(model, answers) | of_cases(rows, answers)
    datatypes = {output.name: output.datatype for output in model_outputs(model)}
    tensors = {name: (datatypes[name], values[name]) for name in requested or valid}
    outputs, binary = write_tensors(tensors, inference)
    text = to_json(InferResponse(model.name, model.version, outputs, inference.id))
    if not binary:
        return Response(text, 200, media_type="application/json")
    return Response(text + binary, 200, {LENGTH_HEADER: str(len(text))}, "application/octet-stream")


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
