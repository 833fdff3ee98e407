"""Write an ensemble as one ONNX file, and check that ONNX Runtime answers as the ensemble does."""

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from medray._types import Array
from medray.ensemble.ensemble import Ensemble
from medray.errors import RunError, one_line
from medray.export.answer_module import EnsembleAnswer

TOLERANCE = 1e-4  # in probabilities
INPUT = "images"
BATCH = 16  # images of the check at a time
MOST_BYTES = 3 * 2**29  # of weights in one file; torch writes more beside it


@dataclass(frozen=True)
class OnnxCheck:
    """How the file's answers to `images` images compare with the ensemble's.

    `difference` is the largest one of a probability, `decided_otherwise` the number of decisions and of classes in
    a set that differ: a probability that lies on a threshold may fall on either side.
    """

    images: int
    difference: float
    decided_otherwise: int


def onnx_bytes(ensemble: Ensemble) -> bytes:
    """Return the ONNX file of an ensemble on the CPU, for any number of images.

    Raises:
        RunError: a network can't be converted.
    """
    module = EnsembleAnswer(ensemble).eval()
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    if size > MOST_BYTES:
        raise RunError(
            f"its weights have {size / 2**30:.1f} GiB, and one ONNX file takes {MOST_BYTES / 2**30:.1f}: "
            "average fewer, by medray ensemble RUN --top-k"
        )
    example = torch.zeros((2, *ensemble.image_shape), dtype=torch.uint8)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of torch about its own
            program = torch.onnx.export(
                module, (example,), dynamo=True, verbose=False, input_names=[INPUT],
                output_names=module.output_names, dynamic_shapes=({0: torch.export.Dim("n")},),
            )  # fmt: skip
            assert program is not None
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                program.save(path)
                return path.read_bytes()
    except Exception as error:  # the exporter may raise anything
        why = error.__cause__ or error  # it wraps the cause in a page of advice
        raise RunError(f"the ensemble can't be converted to ONNX: {type(why).__name__}: {one_line(why)}") from None


def check_onnx(content: bytes, ensemble: Ensemble, images: Array) -> OnnxCheck:
    """Compare a file's answers to uint8 images (n, H, W, C) with the ensemble's.

    Raises:
        RunError: a probability differs by more than 1e-4.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        parts = np.array_split(images, max(1, -(-len(images) // BATCH)))
        answers = [
            np.concatenate(tables)
            for tables in zip(*(session.run(None, {INPUT: part}) for part in parts), strict=True)
        ]
    except Exception as error:  # of ONNX Runtime, which has no base class of its own
        raise RunError(f"ONNX Runtime can't run the file: {one_line(error)}") from None
    expected = expected_outputs(ensemble, images)
    difference = float(np.abs(answers[0] - expected[0]).max())
    if not difference <= TOLERANCE:
        raise RunError(
            f"its probabilities differ from the ensemble's by {difference:.1e} on {len(images)} images; at "
            f"most {TOLERANCE:g} is allowed"
        )
    otherwise = sum(int((got != exact).sum()) for got, exact in zip(answers[1:], expected[1:], strict=True))
    return OnnxCheck(len(images), difference, otherwise)


def expected_outputs(ensemble: Ensemble, images: Array) -> list[Array]:
    """Return what the file's outputs should be for uint8 images (n, H, W, C), by the ensemble itself."""
    module, prediction = EnsembleAnswer(ensemble), ensemble.predict(images)
    probabilities = prediction.probabilities
    points = [point.decide(probabilities) for point in module.points]
    return [probabilities, *points, *(sets.sets(probabilities) for sets in module.sets)]
