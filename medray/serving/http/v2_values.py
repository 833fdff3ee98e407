"""The inputs and outputs of a model in the Open Inference Protocol, as arrays.

A model of cases takes a second input, `cases` INT64 [n]: images of one number are one case. A tensor has one
shape, so an axis of cases would have to be filled up where these have different numbers of images. Outputs are
then of cases, in the order of their first images: `cases` are their numbers, `case_weights` [n] weights of images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medray._types import Array
from medray.decisions.ood import OUT_OF_DISTRIBUTION
from medray.serving.engine.answering import PredictAnswer
from medray.serving.engine.answers import Classification, Labelling, SentCase
from medray.serving.engine.problems import Kind, Problem
from medray.serving.engine.served_model import ServedModel
from medray.serving.http.responses import check_has_cases

IMAGES, CASES, CASE_WEIGHTS = "images", "cases", "case_weights"


@dataclass(frozen=True)
class TensorFacts:
    """An input or output of the model; a side of -1 is any number of images."""

    name: str
    datatype: str
    shape: list[int]


def model_inputs(model: ServedModel) -> list[TensorFacts]:
    """Return the inputs of this model, all of which a request must have."""
    inputs = [TensorFacts(IMAGES, "UINT8", [-1, *model.shape])]
    return inputs if model.ensemble.manifest.cases is None else [*inputs, TensorFacts(CASES, "INT64", [-1])]


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
    if ensemble.manifest.cases is not None:
        outputs += [TensorFacts(CASES, "INT64", [-1]), TensorFacts(CASE_WEIGHTS, "FP32", [-1])]
    return outputs


def output_values(model: ServedModel, answers: Sequence[PredictAnswer]) -> dict[str, Array]:
    """Return the outputs by name, of answers to images or to cases."""
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


def of_cases(rows: Mapping[int, Array], answers: Sequence[PredictAnswer]) -> dict[str, Array]:
    """Return the numbers of the cases, and the weight of each image; `rows` are the images of each number."""
    weights = np.ones(sum(len(members) for members in rows.values()), dtype=np.float32)
    for members, answer in zip(rows.values(), answers, strict=True):
        if isinstance(answer.prediction, SentCase):
            weights[members] = [image.weight for image in answer.prediction.images]
    return {CASES: np.array(list(rows), dtype=np.int64), CASE_WEIGHTS: weights}


def checked_inputs(inputs: Mapping[str, Array], model: ServedModel, max_images: int) -> tuple[Array, Array]:
    """Return the images, and the number of each one's case, int64 (n,), different ones where none are given."""
    if CASES in inputs:
        check_has_cases(model, f"there is an input '{CASES}'", f"send '{IMAGES}' alone")
    valid = [tensor.name for tensor in model_inputs(model)]
    if set(inputs) != set(valid):
        names = ", ".join(name[:40] for name in inputs) or "none"
        needed = f"two, '{IMAGES}' and '{CASES}'" if CASES in valid else f"one, '{IMAGES}'"
        raise Problem(Kind.BAD_REQUEST, f"inputs are {names}; there must be {needed}")
    images = inputs[IMAGES]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != model.shape or not len(images):
        expected, kind = ", ".join(map(str, model.shape)), images.dtype.name.upper()
        raise Problem(
            Kind.BAD_REQUEST, f"'{IMAGES}' is {kind} {list(images.shape)}; it must be UINT8 [N, {expected}]"
        )
    if len(images) > max_images:
        whole = ", and a case is answered whole: send fewer cases at once" if CASES in inputs else ""
        detail = f"a request may hold {max_images} images at most, not {len(images)}{whole}"
        raise Problem(Kind.TOO_MANY_FILES, detail)
    numbers = inputs.get(CASES, np.arange(len(images)))
    if numbers.dtype != np.int64 or numbers.shape != (len(images),):
        kind, count = numbers.dtype.name.upper(), len(images)
        raise Problem(
            Kind.BAD_REQUEST,
            f"'{CASES}' is {kind} {list(numbers.shape)}; it must be INT64 [{count}], each image's case",
        )
    return images, numbers
