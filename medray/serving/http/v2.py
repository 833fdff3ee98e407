"""The Open Inference Protocol (KServe v2) over HTTP, with its binary tensor extension.

https://github.com/kserve/open-inference-protocol   the protocol
https://github.com/triton-inference-server/server   docs/protocol/extension_binary_data.md
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from medray import __version__
from medray._types import Array
from medray.data.decoding import Decoded
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.errors import unknown_choice_line
from medray.serving.engine.answering import PredictAnswer, PredictRequest
from medray.serving.engine.answers import Classification, Labelling
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.http.request_body import read_body
from medray.serving.http.responses import guarded, json_response, request_id_of, service_of, to_json
from medray.serving.http.v2_tensors import LENGTH_HEADER, OutputTensor, read_inference, write_tensors

IMAGES = "images"


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
class TensorFacts:
    """An input or output of the model; a side of -1 is any number of images."""

    name: str
    datatype: str
    shape: list[int]


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


def model_outputs(model: ServedModel) -> list[TensorFacts]:
    """Return all outputs that this model can give."""
    ensemble = model.ensemble
    classes, points, sets = len(ensemble.class_names), len(ensemble.operating_points), len(ensemble.conformal)
    outputs = [TensorFacts("probabilities", "FP32", [-1, classes])]
    if ensemble.task.label_sets:
        sets = len({conformal.coverage for conformal in ensemble.conformal})
        outputs.append(TensorFacts("called", "BOOL", [-1, classes]))
    else:
        outputs += [TensorFacts("class_index", "INT64", [-1]), TensorFacts("label", "BYTES", [-1])]
    if points:
        outputs.append(TensorFacts("positive", "BOOL", [-1, points]))
    if sets:
        answers = [2] if ensemble.task.label_sets else []  # no and yes, to each label
        outputs.append(TensorFacts("in_set", "BOOL", [-1, sets, classes, *answers]))
    if ensemble.ood is not None:
        outputs.append(TensorFacts(OUT_OF_DISTRIBUTION, "BOOL", [-1]))
    return outputs


def _output_values(model: ServedModel, answers: Sequence[PredictAnswer]) -> dict[str, Array]:
    names, predictions = model.ensemble.class_names, [answer.prediction for answer in answers]
    labelled = [prediction for prediction in predictions if isinstance(prediction, Labelling)]
    return {
        "probabilities": np.array([[p.probabilities[n] for n in names] for p in predictions], dtype=np.float32),
        "positive": np.array([[d.positive for d in p.decisions] for p in predictions], dtype=bool),
        OUT_OF_DISTRIBUTION: np.array([OUT_OF_DISTRIBUTION in p.flags for p in predictions], dtype=bool),
        **(_of_labels(names, labelled) if labelled else _of_classes(names, predictions)),
    }


def _of_classes(names: Sequence[str], predictions: Sequence[Classification | Labelling]) -> dict[str, Array]:
    classified = [prediction for prediction in predictions if isinstance(prediction, Classification)]
    in_set = [[[name in s.classes for name in names] for s in p.sets] for p in classified]
    return {
        "class_index": np.array([names.index(p.label) for p in classified], dtype=np.int64),
        "label": np.array([p.label.encode() for p in classified], dtype=object),
        "in_set": np.array(in_set, dtype=bool),
    }


def _of_labels(names: Sequence[str], predictions: Sequence[Labelling]) -> dict[str, Array]:
    in_set = [
        [[[name not in s.present, name not in s.absent] for name in names] for s in p.sets] for p in predictions
    ]
    called = [[name in p.labels for name in names] for p in predictions]
    return {"called": np.array(called, dtype=bool), "in_set": np.array(in_set, dtype=bool)}


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
    inputs = [TensorFacts(IMAGES, "UINT8", [-1, *model.shape])]
    return json_response(
        ModelMetadata(model.name, [model.version], "medray_ensemble", inputs, model_outputs(model))
    )


@guarded
async def model_ready(request: Request) -> Response:
    """Answer whether the model takes requests."""
    model = _requested_model(request)
    await ready(request)
    return json_response(ModelReady(model.name, True))


@guarded
async def infer(request: Request) -> Response:
    """Classify the images of one tensor."""
    service, model = service_of(request), _requested_model(request)
    with service.memory.claim() as claim:
        body = await read_body(request, service.settings, claim)
        inference, inputs = read_inference(body, request.headers.get(LENGTH_HEADER))
        images = _checked_images(inputs, model, service.settings.max_batch)
        valid = [output.name for output in model_outputs(model)]
        requested = [output.name for output in inference.outputs or ()]
        for name in requested:
            if name not in valid:
                raise Problem(Kind.BAD_REQUEST, unknown_choice_line("output", name[:80], valid))
        ids = request_id_of(request), request.scope["state"]["token"]
        height, width, _ = model.shape
        decoded = [Decoded(image, "tensor", height, width, (), (height, width)) for image in images]
        answers = await service.predict(
            [PredictRequest(image.pixels.tobytes(), *ids, decoded=image) for image in decoded]
        )
    model = answers[0].model  # another one where it was exchanged meanwhile
    values = _output_values(model, answers)
    datatypes = {output.name: output.datatype for output in model_outputs(model)}
    tensors = {name: (datatypes[name], values[name]) for name in requested or valid}
    outputs, binary = write_tensors(tensors, inference)
    text = to_json(InferResponse(model.name, model.version, outputs, inference.id))
    if not binary:
        return Response(text, 200, media_type="application/json")
    return Response(text + binary, 200, {LENGTH_HEADER: str(len(text))}, "application/octet-stream")


def _checked_images(inputs: Mapping[str, Array], model: ServedModel, max_images: int) -> Array:
    if list(inputs) != [IMAGES]:
        names = ", ".join(name[:40] for name in inputs) or "none"
        raise Problem(Kind.BAD_REQUEST, f"inputs are {names}; there must be one, '{IMAGES}'")
    images = inputs[IMAGES]
    if images.ndim != 4 or images.shape[1:] != model.shape or not len(images):
        expected = ", ".join(map(str, model.shape))
        raise Problem(
            Kind.BAD_REQUEST, f"'{IMAGES}' is UINT8 {list(images.shape)}; it must be UINT8 [N, {expected}]"
        )
    if len(images) > max_images:
        detail = f"a request may hold {max_images} images at most, not {len(images)}"
        raise Problem(Kind.TOO_MANY_FILES, detail)
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
